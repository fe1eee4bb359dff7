// What a reader gains with JavaScript: sorting, a filter (`/`), changes only (`c`), copying, lively figures.
// Without it the page is complete. Nothing here fetches anything.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const said = document.getElementById("said");
  const tables = all("main table");

  // Rows are changed only so many at a time, as each change makes the browser lay out its table. The first
  // portion, where the reader looks, is done at once; a new request of the same kind ends the one before.
  const AT_ONCE = 120;
  const inPortions = () => {
    let round = 0;
    return (items, apply) => {
      const mine = ++round;
      const step = (from) => {
        if (mine !== round) return;
        apply(items.slice(from, from + AT_ONCE));
        if (from + AT_ONCE < items.length) requestAnimationFrame(() => setTimeout(step, 0, from + AT_ONCE));
      };
      step(0);
    };
  };

  // Sorting: a click sorts, another turns the order round, a third restores the order of the page.
  const order = new Map(tables.map((table) => [table, [...table.tBodies[0].rows]]));
  const collator = new Intl.Collator("en", { numeric: true });
  const valueOf = (cell) => { // bytes and counts are shown exactly; of anything else the number stands apart
    if (!cell) return NaN;
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.firstChild ? cell.firstChild.textContent.trim() : "";
    return /^-?[\d,.]+( B)?$/.test(text) ? parseFloat(text.replace(/,/g, "")) : NaN;
  };
  const keyOf = (row, index, numeric) => {
    const cell = row.cells[index];
    return numeric ? valueOf(cell) : cell ? cell.textContent.trim() : "";
  };
  const placing = new Map(tables.map((table) => [table, inPortions()]));
  const sort = (table, header) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const direction = next[header.getAttribute("aria-sort") || "none"];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    const body = table.tBodies[0];
    let rows = order.get(table);
    if (direction !== "none") {
      header.setAttribute("aria-sort", direction);
      const numeric = header.dataset.unit !== undefined;
      const sign = direction === "ascending" ? 1 : -1;
      const keyed = rows.map((row) => [keyOf(row, header.cellIndex, numeric), row]);
      keyed.sort(([a], [b]) => {
        if (!numeric) return sign * collator.compare(a, b);
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // no number: last
        return sign * (a - b);
      });
      rows = keyed.map(([, row]) => row);
    }
    body.replaceChildren();
    placing.get(table)(rows, (portion) => body.append(...portion));
    said.textContent = direction === "none" ? "Original order" : `Sorted by ${header.dataset.title}, ${direction}`;
  };
  for (const table of tables) {
    for (const header of table.tHead.rows[0].cells) {
      const badge = header.querySelector(".badge");
      header.dataset.title = header.textContent.trim();
      if (order.get(table).length < 2) continue;
      const button = made("button", { type: "button" }); // the arrow; the whole heading takes the click
      button.setAttribute("aria-label", `Sort by ${header.dataset.title}`);
      header.classList.add("sorts");
      header.addEventListener("click", () => sort(table, header));
      header.insertBefore(button, badge);
    }
  }

  // Copying: Markdown as it is shown, CSV as numbers in SI units.
  const grid = (table, read) =>
    [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(read));
  const shown = (cell) => {
    const copy = cell.cloneNode(true);
    for (const small of all("small", copy)) small.textContent = ` (${small.textContent})`;
    return (cell.dataset.title || copy.textContent).replace(/\s+/g, " ").trim();
  };
  const markdown = (table) => {
    const lines = grid(table, (cell) => shown(cell).replace(/\\/g, "\\\\").replace(/\|/g, "\\|"));
    const rule = [...table.tHead.rows[0].cells].map((cell) => (cell.dataset.unit ? "--:" : "---"));
    return [lines[0], rule, ...lines.slice(1)].map((cells) => `| ${cells.join(" | ")} |`).join("\n") + "\n";
  };
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const csv = (table) =>
    grid(table, (cell) => {
      const value = cell.classList.contains("n") && !cell.closest("thead") ? valueOf(cell) : NaN;
      if (!Number.isNaN(value)) return String(value);
      const unit = cell.dataset.unit;
      return quoted(shown(cell) + (unit && unit !== "1" ? ` [${unit === "%" ? "ratio" : unit}]` : ""));
    }).map((cells) => cells.join(",")).join("\r\n") + "\r\n";
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = made("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    said.textContent = `Copied as ${what}`;
  };
  for (const table of tables) {
    const buttons = [["Markdown", markdown], ["CSV", csv]].map(([name, write]) => {
      const button = made("button", { type: "button", textContent: name });
      button.setAttribute("aria-label", `Copy ${table.caption.textContent} as ${name}`);
      button.addEventListener("click", async () => {
        await copy(write(table), name);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = name; }, 1200);
      });
      return button;
    });
    table.caption.append(made("span", { className: "copy" }, ...buttons));
  }

  // The filter: every word must occur in a row. Rows are read once, and written only where they change.
  const alone = all("main details").length < 2;
  const filterable = (alone ? tables : all("main > section > .scroll > table")).map((table) => ({
    table,
    rows: order.get(table).map((row) => ({ row, text: row.textContent.toLowerCase() })),
  })).concat(alone ? [] : {
    rows: all("main details").map((row) => ({ row, text: row.querySelector("summary").textContent.toLowerCase() })),
  });
  const filter = made("input", { type: "search", placeholder: alone ? "conv" : "vww nucleo", autocomplete: "off", spellcheck: false });
  const count = made("output");
  const hiding = inPortions();
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let kept = 0, total = 0;
    const work = filterable.flatMap(({ table, rows }) => rows.map(({ row, text }) => {
      const hidden = !words.every((word) => text.includes(word));
      if (table) { total += 1; kept += !hidden; }
      return [row, hidden];
    })).filter(([row, hidden]) => row.hidden !== hidden);
    count.textContent = words.length ? `${kept.toLocaleString("en")} of ${total.toLocaleString("en")} rows` : "";
    hiding(work, (portion) => portion.forEach(([row, hidden]) => { row.hidden = hidden; }));
  };
  filter.addEventListener("input", apply);

  const tools = document.getElementById("tools");
  tools.append(made("label", {}, "Filter ", filter), count);
  const hasChanges = document.querySelector("tr[data-changed]") !== null;
  const changes = made("input", { type: "checkbox" });
  changes.addEventListener("change", () => document.body.classList.toggle("changes-only", changes.checked));
  if (hasChanges) tools.append(made("label", {}, changes, " Changes only"));

  // Single keys can be switched off: speech input types them by accident (WCAG 2.1.4).
  const keys = made("input", { type: "checkbox", checked: true });
  tools.append(made("label", {}, keys, " Keys: ", made("kbd", { textContent: "/" }), " filter",
    ...(hasChanges ? [", ", made("kbd", { textContent: "c" }), " changes only"] : [])));
  tools.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target === filter) {
      filter.value = "";
      apply();
      filter.blur();
    }
    if (!keys.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input[type=search], textarea")) return;
    if (event.key === "/") {
      event.preventDefault();
      filter.focus();
      filter.select();
    } else if (event.key === "c" && hasChanges) {
      changes.click();
    }
  });

  // A place that is linked to must be seen, even inside a fold.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (fold) { fold.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Long tables keep the widths they have: laying out thousands of rows anew takes longer than a key stroke.
  const LONG = 300;
  const long = tables.filter((table) => order.get(table).length > LONG);
  const widths = long.map((table) => [...table.tHead.rows[0].cells].map((cell) => cell.offsetWidth));
  long.forEach((table, index) => {
    const columns = widths[index].map((width) => made("col", { style: `width: ${width}px` }));
    table.caption.after(made("colgroup", {}, ...columns));
    table.style.tableLayout = "fixed";
    table.parentElement.classList.add("long");
  });

  // Boxes that scroll sideways must be reachable by keyboard.
  const boxes = all(".scroll, .still");
  const fit = () => {
    const wide = boxes.map((box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1);
    boxes.forEach((box, index) => {
      if (wide[index]) {
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", box.dataset.label);
      } else if (box.hasAttribute("role")) {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    });
  };
  addEventListener("resize", fit);
  fit();

  // Figures: plotly.js is unpacked when the first of them comes near; until then the still drawing stands.
  const packed = document.getElementById("plotly");
  if (!packed || typeof DecompressionStream === "undefined") return;
  const specs = JSON.parse(document.getElementById("figures").textContent);
  let unpacking;
  const unpack = () => {
    unpacking ||= (async () => {
      const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      document.body.append(made("script", { textContent: await new Response(stream).text() }));
    })();
    return unpacking;
  };
  const coloured = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, coloured(item, style)]));
  };
  const drawn = new Set();
  const draw = async (figure) => {
    await unpack();
    const style = getComputedStyle(document.documentElement);
    const { data, layout } = coloured(specs[figure.id], style);
    const host = figure.querySelector(".live") || figure.appendChild(made("div", { className: "live" }));
    figure.classList.add("drawn");
    await Plotly.react(host, data, {
      ...layout,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: style.getPropertyValue("--ink").trim() },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 70, r: 30, t: 36, b: 44 },
      hoverlabel: { align: "left" },
    }, { displayModeBar: false, responsive: true });
    drawn.add(figure);
  };
  if (innerWidth < 640) return; // a still drawing that scrolls is easier to read on a narrow screen
  for (const figure of all("figure")) {
    figure.addEventListener("pointerenter", () => drawn.has(figure) || draw(figure), { once: true });
  }
  if (long.length) return; // unpacking takes a moment, which a long page has no time for until it is asked to
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "400px" });
  for (const figure of all("figure")) near.observe(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
})();
