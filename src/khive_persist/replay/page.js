"use strict";
// Whatever a payload holds reaches the page as text only: no innerHTML, no eval, no URL is made of it.
(() => {
  const story = JSON.parse(document.getElementById("story").textContent);
  const entries = story.entries.map(([at, kind, title, lines, depth, agent, failed, tokens, cost, unpriced, took]) =>
    ({ at, kind, title, lines, depth, agent, failed, tokens, cost, unpriced, took }));
  const ROW = 26, SPARE_ROWS = 8, LANE = 14, PAUSE = 5000;
  const get = (id) => document.getElementById(id);
  const [list, room, detail, scrubber, map, cursor, clock, play] =
    ["list", "room", "detail", "scrubber", "map", "cursor", "clock", "play"].map(get);
  const motionless = matchMedia("(prefers-reduced-motion: reduce)").matches;

  let offsets = [], at = 0, shown = 0, playing = false, last = 0, pending = false;
  // Sizes are read once: to ask for one after a change makes the browser lay out all of it anew.
  let width = 0, height = 0, top = 0;
  const rows = new Map(), spare = [];

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const time = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });
  const span = (ms) => {
    const s = Math.floor(ms / 1000), two = (n) => String(n).padStart(2, "0");
    return (s >= 3600 ? Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60)
      : Math.floor(s / 60)) + ":" + two(s % 60);
  };
  const money = ({ cost, unpriced }) =>
    (cost === null ? "" : ", $" + cost.toFixed(4)) + (unpriced ? " + " + unpriced + " unpriced" : "");
  const end = () => offsets[offsets.length - 1] || 0;

  function measure() {
    const most = get("shorten").checked ? PAUSE : Infinity;
    let sum = 0;
    offsets = entries.map((entry, i) => {
      if (i) sum += Math.min(Math.max(entry.at - entries[i - 1].at, 0), most);
      return sum;
    });
  }
  // How many entries are at this time or before it.
  function countAt(ms) {
    let low = 0, high = offsets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (offsets[middle] <= ms) low = middle + 1; else high = middle;
    }
    return low;
  }
  function seek(ms) {
    at = Math.min(Math.max(ms, 0), end());
    shown = countAt(at);
    update();
  }
  function show(count) {
    shown = Math.min(Math.max(count, Math.min(1, entries.length)), entries.length);
    at = offsets[shown - 1] || 0;
    update();
  }
  function run(on) {
    playing = on && entries.length > 0;
    if (playing && shown >= entries.length) { at = 0; shown = 0; }
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-label", play.textContent);
    last = performance.now();
    if (playing) requestAnimationFrame(tick);
  }
  function tick(now) {
    if (!playing) return;
    at = Math.min(at + (now - last) * Number(get("speed").value), end());
    last = now;
    shown = Math.max(shown, countAt(at));
    draw();
    if (shown >= entries.length) run(false); else requestAnimationFrame(tick);
  }
  function update() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; draw(); });
  }

  function draw() {
    follow();
    drawRows();
    drawDetail();
    scrubber.value = String(Math.round(at));
    const share = end() ? at / end() : 0;
    cursor.style.transform = "translateX(" + share * (width - 2) + "px)";
    const entry = entries[shown - 1];
    const said = span(at) + " of " + span(end()) + ", " + shown + "/" + entries.length +
      (entry ? ", " + entry.tokens.toLocaleString() + " tokens" + money(entry) : "");
    if (clock.textContent !== said) {
      clock.textContent = said;
      scrubber.setAttribute("aria-valuetext", said);
    }
  }
  let followed = -1;
  function follow() {
    if (shown === followed) return;
    followed = shown;
    const here = (shown - 1) * ROW;
    if (here < top || here + ROW > top + height) {
      const most = Math.max(0, entries.length * ROW - height);
      top = Math.round(Math.min(Math.max(0, here - height / 2), most));
      list.scrollTop = top;
    }
  }
  function drawRows() {
    const from = Math.max(0, Math.floor(top / ROW) - SPARE_ROWS);
    const to = Math.min(entries.length, Math.ceil((top + height) / ROW) + SPARE_ROWS);
    for (const [index, row] of rows) {
      if (index < from || index >= to) { spare.push(row); rows.delete(index); }
    }
    for (let index = from; index < to; index++) {
      let row = rows.get(index);
      if (!row) {
        row = spare.pop() || makeRow();
        fillRow(row, index);
        rows.set(index, row);
      }
      row.classList.toggle("later", index >= shown);
      const here = index === shown - 1;
      row.classList.toggle("here", here);
      row.setAttribute("aria-selected", String(here));
    }
    for (const row of spare) row.style.transform = "translateY(-100px)";
    if (shown) list.setAttribute("aria-activedescendant", "entry-" + (shown - 1));
  }
  function makeRow() {
    const row = make("div");
    row.setAttribute("role", "option");
    row.setAttribute("aria-setsize", String(entries.length));
    row.append(make("span", "at"), make("span"), make("span", "what"));
    room.append(row);
    return row;
  }
  function fillRow(row, index) {
    const entry = entries[index];
    const [at, kind, what] = row.children;
    row.className = "row" + (entry.failed ? " failed" : "");
    row.id = "entry-" + index;
    row.setAttribute("aria-posinset", String(index + 1));
    row.style.transform = "translateY(" + index * ROW + "px)";
    at.textContent = time(entry.at);
    kind.className = "kind " + entry.kind;
    kind.textContent = entry.failed ? entry.kind + ", failed" : entry.kind;
    kind.style.marginLeft = entry.depth * 18 + "px";
    what.textContent = entry.title;
  }
  let detailed = -1, scrolled = false;
  function drawDetail() {
    if (detailed === shown) return;
    detailed = shown;
    const entry = entries[shown - 1];
    detail.replaceChildren();
    if (!entry) {
      detail.append(make("p", "", entries.length ? "The session begins." : "Nothing is recorded of this session."));
      return;
    }
    detail.append(make("h2", entry.failed ? "failed" : entry.kind, entry.title));
    const facts = make("dl");
    const fact = (name, value) => facts.append(make("dt", "", name), make("dd", "", value));
    fact("time", new Date(entry.at).toLocaleString([], { hour12: false, timeZoneName: "short" }));
    fact("what", entry.kind + (entry.failed ? ", failed" : ""));
    if (entry.took !== null) fact("took", (entry.took / 1000).toLocaleString() + " s");
    if (entry.agent) fact("agent", entry.agent);
    fact("so far", entry.tokens.toLocaleString() + " tokens" + money(entry));
    const text = make("pre");
    for (const line of entry.lines) {
      const sign = entry.kind === "tool" ? line[0] : "";
      text.append(sign === "+" || sign === "-"
        ? make("span", sign === "+" ? "added" : "removed", line + "\n") : line + "\n");
    }
    detail.append(facts, text);
    if (scrolled) { detail.scrollTop = 0; scrolled = false; }
  }

  function drawMap() {
    const lanes = [...new Set(entries.map((entry) => entry.agent))];
    const scale = window.devicePixelRatio || 1, tall = Math.min(lanes.length, 12) * LANE + 6;
    map.style.height = tall + "px";
    width = map.clientWidth;
    map.width = width * scale;
    map.height = tall * scale;
    const pen = map.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const colours = new Map();
    const colour = (name) => {
      if (!colours.has(name)) colours.set(name, style.getPropertyValue("--" + name));
      return colours.get(name);
    };
    const place = new Map(lanes.map((agent, number) => [agent, Math.min(number, 11)]));
    for (const pass of [false, true]) {
      entries.forEach((entry, index) => {
        if (entry.failed !== pass || entry.kind === "gap") return;
        pen.fillStyle = colour(entry.failed ? "failed" : entry.kind);
        const x = end() ? offsets[index] / end() * (width - 3) : 0;
        pen.fillRect(x, 4 + place.get(entry.agent) * LANE, entry.failed ? 3 : 2, LANE - 3);
      });
    }
  }
  function layOut() {
    measure();
    height = list.clientHeight;
    room.style.height = entries.length * ROW + "px";
    scrubber.max = String(Math.round(end()));
    drawMap();
    at = offsets[shown - 1] || 0;
    update();
  }
  function toFailure(step) {
    for (let i = shown - 1 + step; i >= 0 && i < entries.length; i += step) {
      if (entries[i].failed) { run(false); show(i + 1); return; }
    }
    clock.textContent = step > 0 ? "no failure after this" : "no failure before this";
  }
  function find(text, step) {
    const wanted = text.toLowerCase();
    if (!wanted) return;
    for (let n = 1; n <= entries.length; n++) {
      const i = (shown - 1 + step * n + 2 * entries.length) % entries.length;
      const entry = entries[i];
      if (entry.title.toLowerCase().includes(wanted) ||
          entry.lines.some((line) => line.toLowerCase().includes(wanted))) {
        run(false);
        show(i + 1);
        return;
      }
    }
    clock.textContent = "not found";
  }

  const step = (count) => { run(false); show(shown + count); };
  play.addEventListener("click", () => run(!playing));
  get("previous").addEventListener("click", () => step(-1));
  get("next").addEventListener("click", () => step(1));
  get("failure").addEventListener("click", () => toFailure(1));
  get("shorten").addEventListener("change", layOut);
  get("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") find(event.target.value, event.shiftKey ? -1 : 1);
  });
  scrubber.addEventListener("input", () => { run(false); seek(Number(scrubber.value)); });
  list.addEventListener("scroll", () => { top = list.scrollTop; update(); });
  detail.addEventListener("scroll", () => { scrolled = true; });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) { run(false); show(Number(row.id.slice(6)) + 1); }
  });
  map.addEventListener("click", (event) => { run(false); seek(event.offsetX / map.clientWidth * end()); });
  const keys = {
    " ": () => run(!playing), ArrowRight: () => step(1), ArrowDown: () => step(1), ArrowLeft: () => step(-1),
    ArrowUp: () => step(-1), PageDown: () => step(20), PageUp: () => step(-20), e: () => toFailure(1),
    E: () => toFailure(-1), Home: () => step(-entries.length), End: () => step(entries.length),
    "/": () => get("find").focus(),
  };
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input[type=search], select, #scrubber");
    const pressed = event.key === " " && event.target.closest("button, input");
    if (field || pressed || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  new ResizeObserver(() => {
    height = list.clientHeight;
    drawMap();
    followed = -1;
    update();
  }).observe(list);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const final = entries[entries.length - 1];
  const failures = entries.filter((entry) => entry.failed).length;
  get("facts").textContent = !final ? "no entries" :
    [story.tools.join(", "), new Date(entries[0].at).toLocaleString([], { hour12: false }) + " (" + zone + ")",
      entries.length + " entries", failures + " failed",
      final.tokens.toLocaleString() + " tokens" + money(final)].filter(Boolean).join(" \u00b7 ");
  layOut();
  show(motionless || !entries.length ? entries.length : 1);
})();
