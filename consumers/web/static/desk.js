// What the desk cannot do without script: differences while one types, and the way from a field to its place.
// It decides and sends like any form without it.
(() => {
  "use strict";
  const desk = document.getElementById("desk");
  if (!desk) return;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const fields = all(".field");
  const control = (field) => field.querySelector("input, textarea, select");
  const save = document.querySelector("#save span");
  const claim = document.getElementById("claim");
  const HOLD_MS = 300_000;
  // What was typed and is not saved, when the page is left: the session may have ended, the database be away.
  const DRAFT = "draft";
  const comment = document.getElementById("comment");
  const whose = desk.getAttribute("action") + document.querySelector(".who b").textContent;
  let isSent = false;

  function compare() {
    let changed = 0;
    for (const field of fields) {
      const differs = control(field).value !== field.dataset.was.replaceAll("\r\n", "\n");
      field.classList.toggle("changed", differs);
      field.querySelector(".was").hidden = !differs;
      changed += differs;
    }
    document.getElementById("changes").textContent = changed ? `${changed} changed` : "";
    if (save) save.textContent = changed ? save.dataset.other : save.dataset.same;
  }

  function show(path, { within = false, asked = false } = {}) {
    let first;
    for (const mark of all("mark")) {
      const here = mark.dataset.fields.split(" ").some((one) => one === path || (within && (one.startsWith(`${path}.`) || one.startsWith(`${path}[`))));
      mark.classList.toggle("here", here);
      if (here) first ??= mark;
    }
    if (!first) return;
    // Within the text alone: on a phone the page would leave the field for it.
    const source = first.closest(".source");
    const down = first.getBoundingClientRect().top - source.getBoundingClientRect().top - source.clientHeight / 2;
    source.scrollBy({ top: down, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    if (asked) source.scrollIntoView({ block: "nearest" });
  }

  desk.addEventListener("input", compare);
  for (const field of fields) {
    field.addEventListener("focusin", () => show(field.dataset.field, { within: true }));
    field.querySelector(".restore").addEventListener("click", () => {
      control(field).value = field.dataset.was;
      compare();
      control(field).focus();
    });
    for (const button of all(".place", field)) button.addEventListener("click", () => show(button.dataset.path, { asked: true }));
  }
  for (const mark of all("mark")) mark.addEventListener("click", () => {
    const name = mark.dataset.fields.split(" ")[0].split(/[.[]/)[0];
    control(fields.find((field) => field.dataset.field === name))?.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      // A key that is held would decide on the next one, too, which nobody has read.
      if (!event.repeat && !event.target.closest("dialog")) document.getElementById("save")?.click();
    } else if (/^[1-9]$/.test(event.key) && !event.target.closest("input, textarea, select, dialog")) {
      const field = fields[event.key - 1];
      if (field) { event.preventDefault(); control(field).focus(); }
    }
  });

  // Sent once; and who leaves with something unsaved is asked.
  desk.addEventListener("submit", (event) => {
    if (isSent) event.preventDefault();
    isSent = true;
    setTimeout(() => { isSent = false; }, 5_000);  // for who has stopped it
  });
  addEventListener("pageshow", () => { isSent = false; });
  addEventListener("beforeunload", (event) => {
    if (!isSent && document.getElementById("save") && document.querySelector(".field.changed")) event.preventDefault();
  });

  // The claim begins with the first change and holds while somebody is here: a forgotten tab lets go of it.
  if (claim) {
    let isHere = false;
    const hold = () => { isHere = false; claim.dispatchEvent(new Event("hold")); };
    for (const sign of ["keydown", "pointermove", "pointerdown", "scroll"]) addEventListener(sign, () => { isHere = true; }, { capture: true, passive: true });
    desk.addEventListener("input", hold, { once: true });
    setInterval(() => { if (isHere) hold(); }, HOLD_MS);
  }
  function keep() {
    const values = Object.fromEntries(all(".field.changed").map((field) => [field.dataset.field, control(field).value]));
    const typed = comment?.value ?? "";
    if (typed || Object.keys(values).length) sessionStorage.setItem(DRAFT, JSON.stringify({ whose, values, typed }));
  }
  function takeUp() {
    const draft = JSON.parse(sessionStorage.getItem(DRAFT));
    sessionStorage.removeItem(DRAFT);
    // After what could not be decided the server has sent it back already.
    if (draft?.whose !== whose || document.getElementById("wrong")) return;
    for (const field of fields) if (Object.hasOwn(draft.values, field.dataset.field)) control(field).value = draft.values[field.dataset.field];
    if (comment) comment.value = draft.typed;
    document.getElementById("kept").hidden = false;
    desk.dispatchEvent(new Event("input"));
  }
  addEventListener("pagehide", keep);
  takeUp();
  compare();
  document.getElementById("wrong")?.scrollIntoView({ block: "center" });
})();
