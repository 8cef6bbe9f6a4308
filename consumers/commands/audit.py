"""`penstock audit`: what happened, who did it, and on what a decision rests."""

from cyclopts import App

app = App(name="audit", help="The audit trail: explain a decision, list, show and export records.")

for _name, _function in (
    ("explain", "explain"),
    ("list", "list_records"),
    ("show", "show"),
    ("export", "export"),
):
    app.command(f"consumers.commands.audit_query:{_function}", name=_name)
