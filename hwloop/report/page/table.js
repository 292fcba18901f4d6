"use strict";
/* Tables that are sorted, filtered and paged; only a page of rows is in the document. */

const NARROW = window.matchMedia("(max-width: 40rem)").matches; // there a row is a card of several lines
const PAGE_ROWS = NARROW ? 15 : 50;

/**
 * Put a table into `host`.
 *
 * columns: [{title, get(row), show(row), number, short}]; `get` gives what is sorted by, `show` a node or text;
 * what is `short` is kept on one line.
 * choices: [{title, get(row)}] become filters; `words(row)` is searched; `open(row)` gives what a row unfolds.
 */
function dataTable(host, { caption, columns, rows, choices = [], words, open, pageRows = PAGE_ROWS }) {
  const table = {
    columns,
    rows,
    shown: rows,
    by: null,
    down: false,
    page: 0,
    words,
    open,
    pageRows,
    wanted: new Map(),
    text: "",
  };
  const filters = words || choices.length ? el("div", { class: "controls" }) : null;
  if (words) {
    const search = el("input", { type: "search", oninput: () => change(table, { text: search.value.toLowerCase() }) });
    filters.append(el("label", {}, "Search", search));
  }
  for (const one of choices) {
    const values = [...new Set(rows.map(one.get))].sort();
    filters.append(
      choice(one.title, ["all", ...values], (place) => {
        table.wanted.set(one, place ? values[place - 1] : null);
        change(table, {});
      }),
    );
  }
  table.heads = columns.map((column) =>
    el(
      "th",
      { scope: "col", role: "columnheader", class: column.number ? "number" : null },
      column.get ? el("button", { type: "button", onclick: () => sortBy(table, column) }, column.title) : column.title,
    ),
  );
  table.body = el("tbody", { role: "rowgroup" });
  table.count = el("span", { role: "status" });
  table.back = el("button", { type: "button", onclick: () => turn(table, -1) }, "← Before");
  table.next = el("button", { type: "button", onclick: () => turn(table, 1) }, "Next →");
  table.pager = el("div", { class: "pager" }, table.back, table.count, table.next);
  const whole = el(
    "table",
    { class: "cards", role: "table" },
    el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, table.heads)),
    table.body,
  );
  host.append(...[filters, el("div", { class: "scroll" }, whole), table.pager].filter(Boolean));
  render(table);
  return table;
}

function change(table, changes) {
  Object.assign(table, changes);
  const wanted = [...table.wanted].filter(([, value]) => value !== null);
  table.shown = table.rows.filter(
    (row) =>
      wanted.every(([one, value]) => one.get(row) === value) &&
      (!table.text || table.words(row).toLowerCase().includes(table.text)),
  );
  sorted(table);
  table.page = 0;
  render(table);
}

function sortBy(table, column) {
  table.down = table.by === column ? !table.down : false;
  table.by = column;
  table.heads.forEach((head, place) => {
    if (table.columns[place] === column) head.setAttribute("aria-sort", table.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  sorted(table);
  table.page = 0;
  render(table);
}

/** Sort what is shown; rows without a value come last both ways. */
function sorted(table) {
  if (!table.by) return;
  const { get } = table.by,
    sign = table.down ? -1 : 1;
  const keyed = table.shown.map((row) => [get(row), row]);
  const missing = (value) => value === null || value === undefined;
  keyed.sort(([one], [other]) => {
    if (missing(one) || missing(other)) return missing(one) - missing(other);
    return one < other ? -sign : one > other ? sign : 0;
  });
  table.shown = keyed.map(([, row]) => row);
}

function turn(table, step) {
  table.page += step;
  render(table);
}

function render(table) {
  const { columns, shown, page, pageRows } = table;
  const start = page * pageRows,
    rows = shown.slice(start, start + pageRows);
  table.body.replaceChildren(...rows.map((row) => renderRow(table, columns, row)));
  const total = shown.length === table.rows.length ? "" : ` of ${table.rows.length.toLocaleString("en")} in all`;
  const last = start + rows.length;
  table.count.textContent = rows.length
    ? `${(start + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${shown.length.toLocaleString("en")}${total && ` (${total.trim()})`}`
    : "Nothing fits.";
  table.back.disabled = page === 0;
  table.next.disabled = last >= shown.length;
  table.back.hidden = table.next.hidden = shown.length <= pageRows;
  table.pager.hidden = table.rows.length <= pageRows && !table.words;
}

function renderRow(table, columns, row) {
  const cells = columns.map((column, place) => {
    const shown = column.show(row);
    const content = place === 0 && table.open ? opener(table, row, shown, columns.length) : shown;
    return el(
      "td",
      {
        role: "cell",
        class: column.number ? "number" : column.short ? "short" : null,
        "data-title": column.title,
        "data-missing": shown === "–",
      },
      content,
    );
  });
  return el("tr", { role: "row" }, cells);
}

/** The button that unfolds a row. */
function opener(table, row, text, width) {
  const button = el(
    "button",
    {
      type: "button",
      class: "opener",
      "aria-expanded": "false",
      onclick: () => {
        const line = button.closest("tr"),
          unfolded = button.getAttribute("aria-expanded") === "true";
        button.setAttribute("aria-expanded", String(!unfolded));
        if (unfolded) return line.nextElementSibling.remove();
        const cell = el("td", { class: "open", role: "cell", colspan: width });
        line.after(el("tr", { role: "row" }, cell));
        cell.append(table.open(row));
      },
    },
    text,
  );
  return button;
}
