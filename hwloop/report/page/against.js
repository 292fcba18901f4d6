"use strict";
/* Predicted against measured. */

const NEAR = 0.1;

function percent(share) {
  return `${share >= 0 ? "+" : "−"}${number(Math.abs(share) * 100, 2)} %`;
}

/** Predicted against measured, with what is within 10 % shaded; an interval without an end has none drawn. */
function againstMeasured(host, found, unit, title) {
  const points = found.map((point) => ({ ...point, low: point.low ?? 0, high: point.high ?? Infinity }));
  const inside = points.filter(({ x, y }) => Math.abs(y / x - 1) <= NEAR).length;
  plot(host, {
    label: `${title}: predicted against measured, ${points.length} points`,
    square: true,
    x: { title: "measured", unit, kind: "log" },
    y: { title: "predicted", unit, kind: "log" },
    areas: [
      {
        tone: "band",
        polygon: ({ x }) => [
          [x.from, x.from * (1 - NEAR)],
          [x.to, x.to * (1 - NEAR)],
          [x.to, x.to * (1 + NEAR)],
          [x.from, x.from * (1 + NEAR)],
        ],
      },
    ],
    lines: [
      {
        tone: "muted",
        points: [
          [1e-12, 1e-12],
          [1e15, 1e15],
        ],
      },
    ],
    series: [{ tone: "accent", mark: points.length > 40 ? "small" : "dot", points }],
  });
  host.append(
    el(
      "p",
      { class: "note" },
      `${inside} of ${points.length} are within ±10 % (shaded). Bars are the predicted intervals.`,
    ),
  );
}
