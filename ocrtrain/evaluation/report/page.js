"use strict";
// The gallery. Each line has: source, group, why it is shown, length of the truth, rtl (written from right to
// left), joined (letters join, so they must stay in one run of text), image (a data URI or null), and for each
// reader its confidence, edits, and pairs: [truth, read] or [truth, read, left, right], in thousandths of the
// image's width. Texts are only ever set as text, never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data.lines.length) return;
  const list = document.getElementById("lines");
  const control = (id) => document.getElementById(id);

  const make = (name, kind, text) => {
    const element = document.createElement(name);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const percent = (share) => (100 * share).toFixed(1) + "%";
  const kindOf = ([truth, read]) => truth === read ? "" : truth && read ? "wrong" : truth ? "missing" : "extra";
  const invisible = /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]$/u;

  // Combining marks belong to the letter before them, on whichever side they stand.
  const clusters = (pairs) => {
    const found = [];
    for (const pair of pairs) {
      const last = found[found.length - 1];
      if (last && /^\p{M}/u.test(pair[0] || pair[1]) && /^(\p{M}|$)/u.test(pair[0]) && /^(\p{M}|$)/u.test(pair[1])) {
        const kind = kindOf(pair);
        last.truth += pair[0];
        last.read += pair[1];
        if (kind) last.kind = last.truth && last.read ? "wrong" : kind;
        if (pair.length > 2) {
          last.left = Math.min(last.left ?? 1000, pair[2]);
          last.right = Math.max(last.right ?? 0, pair[3]);
        }
      } else {
        found.push({ truth: pair[0], read: pair[1], kind: kindOf(pair), left: pair[2], right: pair[3] });
      }
    }
    return found;
  };

  const glyph = (text, wrong) => {
    if (text === "") return make("span", "", "·");
    if (wrong && text === " ") return make("span", "", "␣");
    if (invisible.test(text) || (wrong && /^\s$/.test(text))) {
      const shown = make("span");
      const code = text.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      shown.append(make("span", "code", "U+" + code));
      return shown;
    }
    return make("span", "", text);
  };

  const says = (cell) => {
    const words = { wrong: `“${cell.truth}” read as “${cell.read}”`, missing: `“${cell.truth}” not read`, extra: `“${cell.read}” read where nothing stands` };
    return words[cell.kind] || cell.truth;
  };

  // Truth above, reading beneath, a column for each character.
  const columns = (cells, text) => {
    const row = make("div", "pairs-row");
    cells.forEach((cell, i) => {
      const pair = make("span", "pair " + cell.kind);
      pair.append(glyph(cell.truth, cell.kind), glyph(cell.read, cell.kind));
      pair.dataset.cell = i;
      if (cell.kind) pair.title = says(cell);
      row.append(pair);
    });
    text.append(row);
  };

  // Letters that join: two runs of text, coloured but not taken apart.
  const runs = (cells, text) => {
    for (const side of ["truth", "read"]) {
      const run = make("bdi", "run");
      cells.forEach((cell, i) => {
        if (!cell[side]) return;
        const part = make("span", cell.kind, invisible.test(cell[side]) ? "" : cell[side]);
        part.dataset.cell = i;
        if (cell.kind) part.title = says(cell);
        run.append(part);
      });
      if (!run.textContent) run.append(make("i", "nothing", "nothing"));
      text.append(run);
    }
  };

  const build = (line) => {
    const item = make("li");
    const about = make("div", "about");
    const name = make("bdi", "source", line.source);
    about.append(name);
    if (line.group && line.group !== ".") about.append(make("bdi", "", line.group));
    about.append(make("span", "", line.length + (line.length === 1 ? " character" : " characters")));
    about.append(make("span", "", line.why.map((why) => ({ worst: "most errors", unsure: "least confident", random: "random" })[why]).join(", ")));
    item.append(about);

    let picture = null;
    let spot = null;
    if (line.image) {
      picture = make("div", "picture");
      if (line.rtl) picture.dir = "rtl";
      const image = make("img");
      image.src = line.image;
      image.alt = "the line: " + line.truth;
      image.loading = "lazy";
      picture.append(image);
      item.append(picture);
    }
    const show = (cell) => {
      spot?.remove();
      item.querySelectorAll(".here").forEach((element) => element.classList.remove("here"));
      if (!cell) return;
      cell.elements.forEach((element) => element.classList.add("here"));
      if (!picture || cell.left === undefined) return;
      spot = make("span", "spot");
      spot.style.left = cell.left / 10 + "%";
      spot.style.width = (cell.right - cell.left) / 10 + "%";
      picture.append(spot);
    };
    line.readings.forEach((reading, reader) => {
      const cells = clusters(reading.pairs);
      const block = make("div", "reading");
      const text = make("div", "text");
      text.dir = line.rtl ? "rtl" : "auto";
      text.tabIndex = 0;
      text.setAttribute("role", "group");
      text.setAttribute("aria-label", `truth: ${line.truth}; read: ${reading.text}`);
      (line.joined ? runs : columns)(cells, text);
      const labels = make("div", "name");
      if (data.readers.length > 1) labels.append(make("bdi", "", data.readers[reader]));
      else labels.append("truth", make("br"), "read");
      block.append(labels, text);
      item.append(block);
      const confidence = reading.confidence === null ? "" : `, confidence ${percent(reading.confidence)}`;
      const label = data.readers.length > 1 ? `${data.readers[reader]}: ` : "";
      about.append(make("span", "", `${label}${reading.edits} ${reading.edits === 1 ? "error" : "errors"}${confidence}`));

      cells.forEach((cell) => (cell.elements = []));
      text.querySelectorAll("[data-cell]").forEach((element) => cells[element.dataset.cell].elements.push(element));
      if (picture && reader === 0) {
        for (const cell of cells.filter((each) => each.kind && each.left !== undefined)) {
          const mark = make("span", "mark " + cell.kind);
          mark.style.left = cell.left / 10 + "%";
          mark.style.width = (cell.right - cell.left) / 10 + "%";
          picture.append(mark);
        }
      }
      let at = -1;
      const choose = (i) => show(cells[(at = i)]);
      const under = (event) => event.target.closest("[data-cell]")?.dataset.cell;
      for (const kind of ["pointerover", "click"]) text.addEventListener(kind, (event) => under(event) !== undefined && choose(+under(event)));
      text.addEventListener("pointerleave", () => show(null));
      text.addEventListener("blur", () => show(null));
      text.addEventListener("keydown", (event) => {
        const step = { ArrowRight: line.rtl ? -1 : 1, ArrowLeft: line.rtl ? 1 : -1 }[event.key];
        if (!step || !cells.length) return;
        choose(Math.min(Math.max(at + step, 0), cells.length - 1));
        event.preventDefault();
      });
      if (picture && reader === 0) {
        picture.addEventListener("pointermove", (event) => {
          const box = picture.getBoundingClientRect();
          const x = (1000 * (event.clientX - box.left)) / box.width;
          const away = (cell) => Math.max(cell.left - x, x - cell.right, 0);
          const placed = cells.filter((cell) => cell.left !== undefined);
          if (placed.length) show(placed.reduce((best, cell) => (away(cell) < away(best) ? cell : best)));
        });
        picture.addEventListener("pointerleave", () => show(null));
      }
    });
    return item;
  };

  for (const line of data.lines) {
    line.truth = line.readings[0].pairs.map((pair) => pair[0]).join("");
    for (const reading of line.readings) reading.text = reading.pairs.map((pair) => pair[1]).join("");
    line.edits = Math.max(...line.readings.map((reading) => reading.edits));
    line.cer = line.edits / Math.max(line.length, 1);
    line.confidence = Math.min(...line.readings.map((reading) => reading.confidence ?? 1));
    line.everything = [line.source, line.group, line.truth, ...line.readings.map((reading) => reading.text)].join("\n").toLowerCase();
  }
  const orders = {
    edits: (a, b) => b.edits - a.edits || a.length - b.length,
    cer: (a, b) => b.cer - a.cer,
    confidence: (a, b) => a.confidence - b.confidence,
    length: (a, b) => b.length - a.length,
    source: (a, b) => a.source.localeCompare(b.source, undefined, { numeric: true }),
  };
  const refresh = () => {
    const why = control("why").value;
    const wanted = control("find").value.normalize("NFC").toLowerCase();
    const shown = data.lines.filter((line) => (!why || line.why.includes(why)) && (!control("wrong").checked || line.edits) && line.everything.includes(wanted));
    shown.sort(orders[control("order").value]);
    if (control("reverse").checked) shown.reverse();
    list.replaceChildren(...shown.map((line) => (line.element ??= build(line))));
    control("count").textContent = `${shown.length} of ${data.lines.length} lines`;
  };
  for (const id of ["why", "order", "reverse", "wrong", "find"]) control(id).addEventListener("input", refresh);
  for (const option of [...control("why").options]) {
    if (option.value && !data.lines.some((line) => line.why.includes(option.value))) option.remove();
  }
  if (data.lines.every((line) => line.readings.every((reading) => reading.confidence === null))) control("order").querySelector("[value=confidence]").remove();
  control("gallery").hidden = false;
  refresh();
})();
