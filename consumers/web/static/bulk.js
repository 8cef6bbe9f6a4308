// What a list of many needs script for: one tick for all, and how many are ticked beside what is done to them.
(() => {
  "use strict";
  const form = document.getElementById("many");
  const whole = document.getElementById("all");
  if (!form) return;
  const ticks = [...form.querySelectorAll('[name^="at."]:not(:disabled)')];
  function count() {
    const number = ticks.filter((one) => one.checked).length;
    whole.checked = number === ticks.length;
    whole.indeterminate = number > 0 && number < ticks.length;
    for (const place of form.querySelectorAll(".number")) place.textContent = number;
  }
  whole.hidden = false;
  whole.addEventListener("change", () => { for (const one of ticks) one.checked = whole.checked; count(); });
  form.addEventListener("change", count);
  form.addEventListener("submit", () => form.setAttribute("aria-busy", "true"));
  addEventListener("pageshow", count);
  count();
})();
