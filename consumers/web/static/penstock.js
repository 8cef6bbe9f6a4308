// What pages cannot do without script: the theme, the reader's time zone, keys, copying, charts.
// Everything else works without it.
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, within = document) => within.querySelectorAll(selector);

  // Theme: a cookie, so that the server sends the right page and nothing flashes.
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  function turn() {
    root.dataset.theme = isDark() ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    drawCharts();
  }

  // Times in the reader's zone; the UTC text stays as the tooltip.
  const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const otherDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  function localTimes(within = document) {
    const today = new Date().toDateString();
    for (const element of all("time[datetime]", within)) {
      const moment = new Date(element.dateTime);
      element.title = moment.toISOString().slice(0, 19).replace("T", " ") + " UTC";
      element.textContent = (moment.toDateString() === today ? sameDay : otherDay).format(moment);
    }
  }

  // Keys: `g` and a letter goes to a page; nothing here changes data.
  const sheet = document.getElementById("sheet");
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const page = Date.now() - going < 1500 && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    going = 0;
    if (page) location.href = page.dataset.go;
    else if (event.key === "g") going = Date.now();
    else if (event.key === "t") turn();
    else if (event.key === "?" && !sheet.open) sheet.showModal();
    else press(event);
  });

  // A key of this page: it goes where a link goes, or into a field; nothing is decided by one key.
  function press(event) {
    const pressed = !sheet.open && document.querySelector(`[data-press="${CSS.escape(event.key)}"]`);
    if (!pressed) return;
    event.preventDefault();
    if (pressed.dataset.focus) document.querySelector(pressed.dataset.focus)?.focus();
    else pressed.click();
  }

  // Charts: the data is in the page, as JSON in an attribute; colours are those of the legend.
  const plots = new Map();
  const spell = {
    count: (value) => value.toLocaleString(),
    ms: (value) => (value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(1)} s`),
    money: (value) => (value / 1e6).toLocaleString(undefined, { maximumSignificantDigits: 3 }),
  };
  const colour = (tone) => getComputedStyle(document.querySelector(`.tone-${tone}`)).color;
  const stacked = (rows) => rows.map((_, i) => rows[0].map((_, x) => rows.slice(i).reduce((sum, row) => sum + row[x], 0)));
  function draw(place) {
    const chart = JSON.parse(document.getElementById(place.dataset.from).dataset.chart);
    const rows = chart.series.map((one) => one.values);
    const data = [chart.times, ...(chart.bars ? stacked(rows) : rows)];
    const grid = { stroke: getComputedStyle(place).color, font: "11px Inter, system-ui, sans-serif", ticks: { show: false } };
    const lines = { show: true, stroke: getComputedStyle(place).borderTopColor, width: 1 };
    const bars = uPlot.paths.bars({ size: [0.78, 28, 1], radius: 0.12, align: 1 });
    plots.get(place)?.destroy();
    plots.set(place, new uPlot({
      width: place.clientWidth - 12, height: 178, padding: [10, 18, 0, 0], legend: { show: false }, cursor: { y: false, points: { show: !chart.bars } },
      scales: { x: { range: [chart.times[0], chart.times.at(-1) + chart.step] }, y: { range: (_, low, high) => [0, (high || 1) * 1.05] } },
      axes: [{ ...grid, size: 26, grid: { show: false }, values: (_, ticks) => ticks.map((t) => new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(t * 1000)), space: 60 },
        { ...grid, grid: lines, size: 52, space: 34, values: (_, ticks) => ticks.map((tick) => spell[chart.unit](tick)), incrs: chart.unit === "count" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6] : undefined }],
      series: [{}, ...chart.series.map((one) => ({ stroke: colour(one.tone), fill: chart.bars ? colour(one.tone) : undefined, width: chart.bars ? 0 : 1.75, paths: chart.bars ? bars : undefined, points: { show: !chart.bars && one.values.filter((v) => v !== null).length < 3, size: 6 }, spanGaps: false }))],
      hooks: { setCursor: [(plot) => tell(place, chart, plot.cursor.idx)] },
    }, data, place));
  }
  // The numbers beside the legend: the whole span, or the slot under the pointer.
  function tell(place, chart, slot) {
    chart.series.forEach((one, i) => {
      const value = slot === null || slot === undefined ? one.whole : one.values[slot];
      all("b", place.parentElement)[i].textContent = value === null ? "–" : spell[chart.unit](value);
    });
  }
  function drawCharts() { for (const place of all(".plot")) draw(place); }

  function start() {
    localTimes();
    // On a phone the pages are a row that is wider than the screen.
    document.querySelector(".rail [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    // What was typed at the desk is kept until it is saved, or its writer goes.
    if (document.querySelector(".said")) sessionStorage.clear();
    document.querySelector("form.who")?.addEventListener("submit", () => sessionStorage.clear());
    for (const [id, act] of [["theme", turn], ["keys", () => sheet.showModal()]]) {
      const button = document.getElementById(id);
      button.hidden = false;
      button.addEventListener("click", act);
    }
    if (navigator.clipboard) for (const button of all(".copy")) {
      button.hidden = false;
      button.addEventListener("click", () => navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent));
    }
    drawCharts();
    let waiting;
    addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawCharts, 120); });
    const live = document.querySelector(".live-dot");
    document.addEventListener("htmx:sse:after:connection", () => { live.classList.add("on"); live.lastChild.textContent = "live"; });
    document.addEventListener("htmx:sse:close", () => { live.classList.remove("on"); live.lastChild.textContent = "not live"; });
    document.addEventListener("htmx:after:swap", () => { localTimes(); drawCharts(); });
  }
  start();
})();
