"use strict";
/* Charts in SVG: drawn when they come into view, again when their width changes, read by pointer, touch and keys. */

const DOT = { dot: 9, small: 5 };
let plots = 0;

/**
 * Draw a chart into `host`.
 *
 * spec: {label, x, y, series, lines, areas, height, square, picked}; x and y: {title, unit, kind: linear|log|time, better}.
 * A series: {name, tone, mark: dot|small|line|step, direct, points}; a point: {x, y, low, high, title, rows}; those with a
 * title can be pointed at. Lines: {points: [[x, y], [x, y]], tone, dashed, text}, ends may be infinite. Areas: {polygon}.
 * `picked` hears of the point that a click, a tap or Enter chose.
 */
function plot(host, spec) {
  const frame = el("div", { class: spec.square ? "plot square" : "plot" });
  host.append(frame);
  const chart = { spec, frame, width: 0, spots: [], at: -1, id: `plot${(plots += 1)}` };
  frame.style.minHeight = `${spec.height || 320}px`;
  const sizes = new ResizeObserver(() => {
    const width = frame.clientWidth;
    if (width > 0 && Math.abs(width - chart.width) > 1) draw(chart, width);
  });
  const sight = new IntersectionObserver(
    (seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      sight.disconnect();
      sizes.observe(frame);
    },
    { rootMargin: "300px" },
  );
  sight.observe(frame);
  return chart;
}

function draw(chart, width) {
  const { spec, frame } = chart;
  chart.width = width;
  const height = spec.square ? Math.min(width, 460) : spec.height || 320;
  const scales = scalesOf(spec, width, height);
  const left = 12 + 7 * Math.max(...scales.y.ticks.map((tick) => scales.y.text(tick).length), 1);
  const room = { left, top: 30, right: width - (spec.right || 14), bottom: height - 42 };
  const px = (value) => room.left + (room.right - room.left) * clamp(scales.x.place(value));
  const py = (value) => room.bottom - (room.bottom - room.top) * clamp(scales.y.place(value));
  const shape = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    height,
    tabindex: 0,
    role: "application",
    "aria-roledescription": "chart",
    "aria-label": `${spec.label}. Arrow keys go from point to point.`,
  });
  const clip = `${chart.id}-clip`;
  shape.append(
    svg(
      "clipPath",
      { id: clip },
      svg("rect", {
        x: room.left,
        y: room.top - 4,
        width: Math.max(0, room.right - room.left + 4),
        height: Math.max(0, room.bottom - room.top + 8),
      }),
    ),
  );
  shape.append(...axes(spec, scales, room, px, py));
  const inside = svg("g", { "clip-path": `url(#${clip})` });
  for (const area of spec.areas || []) {
    inside.append(
      svg("path", {
        class: area.tone,
        d: `M${area
          .polygon(scales)
          .map(([x, y]) => `${px(x)},${py(y)}`)
          .join("L")}Z`,
      }),
    );
  }
  const labels = [];
  for (const line of spec.lines || []) drawLine(line, px, py, room, inside, labels);
  for (const series of spec.series) drawSeries(series, px, py, inside, labels);
  shape.append(inside, ...labels);
  chart.spots = spotsOf(spec, px, py);
  chart.ring = svg("circle", { class: "ring", r: 8, visibility: "hidden" });
  shape.append(chart.ring);
  chart.tip = el("div", { class: "tip", hidden: true });
  chart.told = el("div", { class: "skip", "aria-live": "polite" });
  listen(chart, shape);
  frame.replaceChildren(shape, chart.tip, chart.told);
  if (chart.at >= 0 && chart.at < chart.spots.length) show(chart, chart.at, false);
}

function clamp(share) {
  return Math.min(Math.max(share, -20), 20); // beyond the paper, yet a number that SVG takes
}

function scalesOf(spec, width, height) {
  const xs = [],
    ys = [];
  for (const series of spec.series) {
    for (const point of series.points) {
      xs.push(point.x);
      ys.push(point.y);
    }
  }
  for (const line of spec.lines || []) {
    if (line.fits) for (const [x, y] of line.points) (xs.push(x), ys.push(y));
  }
  const finite = (values) => values.filter(Number.isFinite);
  const both = spec.square ? finite([...xs, ...ys]) : null;
  return {
    x: scaleOf(spec.x, both || finite(xs), Math.max(2, Math.floor(width / (width < 500 ? 65 : 90)))),
    y: scaleOf(spec.y, both || finite(ys), Math.max(2, Math.floor(height / 50))),
  };
}

function axes(spec, scales, room, px, py) {
  const parts = [];
  for (const tick of scales.y.ticks) {
    parts.push(svg("path", { class: "grid", d: `M${room.left},${py(tick)}H${room.right}` }));
    parts.push(svg("text", { x: room.left - 6, y: py(tick) + 4, "text-anchor": "end" }, scales.y.text(tick)));
  }
  parts.push(svg("path", { class: "axis", d: `M${room.left},${room.bottom}H${room.right}` }));
  for (const tick of scales.x.ticks) {
    const text = scales.x.text(tick),
      half = text.length * 3.5;
    const x = Math.min(px(tick), room.right + 8 - half);
    parts.push(svg("path", { class: "axis", d: `M${px(tick)},${room.bottom}v4` }));
    parts.push(svg("text", { x, y: room.bottom + 17, "text-anchor": "middle" }, text));
  }
  const named = (axis, scale) => (scale.unit ? `${axis.title}, ${scale.unit}` : axis.title);
  const up = spec.y.better === "high" ? "  ↑ better" : spec.y.better === "low" ? "  ↓ better" : "";
  const along = spec.x.better === "low" ? "  ← better" : spec.x.better === "high" ? "  better →" : "";
  parts.push(svg("text", { class: "title", x: 0, y: 13 }, named(spec.y, scales.y) + up));
  parts.push(
    svg(
      "text",
      { class: "title", x: room.right, y: room.bottom + 36, "text-anchor": "end" },
      named(spec.x, scales.x) + along,
    ),
  );
  return parts;
}

function drawLine(line, px, py, room, inside, labels) {
  const ends = line.points.map(([x, y]) => [
    Number.isFinite(x) ? px(x) : x > 0 ? room.right : room.left,
    Number.isFinite(y) ? py(y) : y > 0 ? room.top : room.bottom,
  ]);
  inside.append(svg("path", { class: `hair ${line.tone} ${line.dashed ? "dashed" : ""}`, d: `M${ends.join("L")}` }));
  if (!line.text) return;
  const [x, y] = ends[ends.length - 1];
  const upright = Math.abs(ends[0][0] - x) < 1;
  const flip = upright ? x > room.right - 130 : true;
  labels.push(
    svg(
      "text",
      {
        class: `direct ${line.tone}`,
        x: upright ? x + (flip ? -6 : 6) : x - 4,
        y: upright ? room.top + 10 : Math.max(room.top + 10, y + (line.below ? 15 : -6)),
        "text-anchor": flip ? "end" : "start",
      },
      line.text,
    ),
  );
}

function drawSeries(series, px, py, inside, labels) {
  const points = series.points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  if (!points.length) return;
  const bars = points.filter((point) => point.low !== undefined && point.low !== null);
  if (bars.length) {
    const d = bars.map((point) => `M${px(point.x)},${py(point.low)}V${py(point.high)}`).join("");
    inside.append(svg("path", { class: `bar ${series.tone}`, d }));
  }
  if (series.mark === "line" || series.mark === "step") {
    const path = points.map((point, place) => {
      const x = px(point.x),
        y = py(point.y);
      return place && series.mark === "step" ? `H${x}V${y}` : `${place ? "L" : "M"}${x},${y}`;
    });
    inside.append(svg("path", { class: `curve ${series.tone}`, d: path.join("") }));
  } else {
    const size = DOT[series.mark];
    const d = points.map((point) => `M${px(point.x).toFixed(1)},${py(point.y).toFixed(1)}h0`).join("");
    if (series.mark === "dot") inside.append(svg("path", { class: "halo", d, "stroke-width": size + 3 }));
    inside.append(
      svg("path", {
        class: `dot ${series.tone}`,
        d,
        "stroke-width": size,
        opacity: series.mark === "small" ? 0.65 : 1,
      }),
    );
  }
  if (series.direct) {
    const last = points[points.length - 1];
    const early = px(last.x) < 90; // no room to the left of it
    labels.push(
      svg(
        "text",
        {
          class: `direct ${series.tone}`,
          x: px(last.x) + (early ? 8 : -4),
          y: py(last.y) - 10,
          "text-anchor": early ? "start" : "end",
        },
        series.direct,
      ),
    );
  }
}

/** The points that can be pointed at, in order of x. */
function spotsOf(spec, px, py) {
  const spots = [];
  for (const series of spec.series) {
    for (const point of series.points) {
      if (point.title && Number.isFinite(point.x) && Number.isFinite(point.y)) {
        spots.push({ point, x: px(point.x), y: py(point.y), weight: series.mark === "dot" ? 0.7 : 1 });
      }
    }
  }
  return spots.sort((one, other) => one.x - other.x || one.y - other.y);
}

function listen(chart, shape) {
  const nearest = (event) => {
    const box = shape.getBoundingClientRect();
    const x = event.clientX - box.left,
      y = event.clientY - box.top;
    let best = -1,
      least = 40;
    chart.spots.forEach((spot, place) => {
      const far = Math.hypot(spot.x - x, spot.y - y) * spot.weight;
      if (far < least) [best, least] = [place, far];
    });
    return best;
  };
  const pick = (place) => place >= 0 && chart.spec.picked && chart.spec.picked(chart.spots[place].point);
  shape.addEventListener("pointermove", (event) => event.pointerType === "mouse" && show(chart, nearest(event), false));
  shape.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(chart, -1, false));
  shape.addEventListener("click", (event) => {
    const place = nearest(event);
    show(chart, place, false);
    pick(place);
  });
  shape.addEventListener("blur", () => show(chart, -1, false));
  shape.addEventListener("keydown", (event) => {
    const last = chart.spots.length - 1;
    const steps = {
      ArrowRight: chart.at + 1,
      ArrowUp: chart.at + 1,
      ArrowLeft: chart.at - 1,
      ArrowDown: chart.at - 1,
      Home: 0,
      End: last,
    };
    if (event.key in steps && last >= 0) show(chart, Math.min(last, Math.max(0, steps[event.key])), true);
    else if (event.key === "Escape") show(chart, -1, false);
    else if (event.key === "Enter") pick(chart.at);
    else return;
    event.preventDefault();
  });
}

function show(chart, place, told) {
  chart.at = place;
  const spot = chart.spots[place];
  chart.tip.hidden = !spot;
  chart.ring.setAttribute("visibility", spot ? "visible" : "hidden");
  if (!spot) return;
  const { point } = spot;
  chart.ring.setAttribute("cx", spot.x);
  chart.ring.setAttribute("cy", spot.y);
  chart.tip.replaceChildren(el("strong", {}, point.title), pairs(point.rows || []));
  const { offsetWidth: width, offsetHeight: height } = chart.tip;
  const left = spot.x + 14 + width > chart.width ? spot.x - 14 - width : spot.x + 14;
  chart.tip.style.left = `${Math.max(0, Math.min(left, chart.width - width))}px`;
  chart.tip.style.top = `${spot.y - height - 12 < 0 ? spot.y + 14 : spot.y - height - 12}px`;
  if (told)
    chart.told.textContent = [point.title, ...(point.rows || []).map(([name, value]) => `${name} ${value}`)].join(", ");
}

/** Replace what an earlier chart drew in `host`. */
function replot(host, spec) {
  host.replaceChildren();
  return plot(host, spec);
}
