"use strict";
/* The fleet, fronts and predictors. */

function health(device) {
  if (device.quarantine)
    return el(
      "span",
      { class: "INVALID" },
      `! quarantined since ${device.quarantine.since.slice(0, 16).replace("T", " ")}: ${device.quarantine.reason}`,
    );
  if (!device.transport) return el("span", { class: "soft" }, "not in devices.yaml");
  return el("span", { class: "VALID" }, "✓ in service");
}

function state({ state: found }) {
  if (!found) return "–";
  return [
    found.temperature_c === null ? null : `${number(found.temperature_c, 3)} °C`,
    found.clock_mhz === null ? null : `${number(found.clock_mhz, 4).replace(/\.\d+$/, "")} MHz`,
    found.governor,
    found.load_1min === null ? null : `load ${number(found.load_1min, 2)}`,
    found.throttled ? "throttled" : null,
  ]
    .filter(Boolean)
    .join(", ");
}

/** How a device is reached; an address that says so itself is not told twice. */
function reached({ transport, address }) {
  if (!transport || address.includes(transport)) return address;
  return `${transport}, ${address}`;
}

function drawFleet(host, fleet) {
  const count = (device, name) => device.verdicts[name] || 0;
  const whole = (device) => count(device, "VALID") + count(device, "INVALID") + count(device, "FAILED");
  const verdicts = ["VALID", "INVALID", "FAILED"].map((name) => ({
    title: `${SYMBOLS[name]} ${name}`,
    number: true,
    get: (device) => count(device, name),
    show: (device) => (count(device, name) ? count(device, name).toLocaleString("en") : "–"),
  }));
  dataTable(host, {
    caption: "What each device measured, and its state after the newest measurement.",
    rows: fleet,
    columns: [
      { title: "device", short: true, get: (one) => one.name, show: (one) => one.name },
      { title: "health", get: (one) => (one.quarantine ? 0 : 1), show: health },
      {
        title: "reached by",
        get: reached,
        show: (one) => reached(one) || "–",
      },
      ...verdicts,
      {
        title: "valid",
        number: true,
        get: (one) => (whole(one) ? count(one, "VALID") / whole(one) : null),
        show: (one) => (whole(one) ? `${Math.floor((100 * count(one, "VALID")) / whole(one))} %` : "–"),
      },
      {
        title: "last measured",
        short: true,
        get: (one) => one.last,
        show: (one) => (one.last ? moment(Date.parse(one.last) / 1000) : "–"),
      },
      { title: "state", show: state },
    ],
  });
}

function drawFronts(host, fronts) {
  if (!fronts.length)
    return host.append(
      el(
        "p",
        { class: "note" },
        "No device has three valid measurements of candidates of one space. hwloop measure --space SPACE --sample 20 makes some.",
      ),
    );
  const chart = el("figure", {}),
    card = el(
      "div",
      { class: "picked", "aria-live": "polite" },
      el("p", { class: "note" }, "Click, tap or press Enter on a candidate to see what it is."),
    );
  const shown = (place) => {
    const { device, title, x, y, points } = fronts[place];
    const axis = ({ title: name, unit, maximize }) => ({
      title: name,
      unit,
      better: maximize ? "high" : "low",
      kind: unit === "fraction" ? "linear" : "log",
    });
    const spots = points.map(([label, across, upward, best, details]) => ({
      x: across,
      y: upward,
      best,
      details,
      title: label,
      rows: [
        [x.title, amount(across, x.unit)],
        [y.title, amount(upward, y.unit)],
      ],
    }));
    const front = spots.filter(({ best }) => best).sort((one, other) => one.x - other.x);
    replot(chart, {
      label: `${y.title} against ${x.title} of ${title} on ${device}: ${points.length} candidates, ${front.length} on the front`,
      x: axis(x),
      y: axis(y),
      height: 400,
      series: [
        { tone: "muted", mark: "small", points: spots.filter(({ best }) => !best) },
        { tone: "accent", mark: "step", points: front.map(({ x: across, y: upward }) => ({ x: across, y: upward })) },
        { tone: "accent", mark: "dot", points: front, direct: "front" },
      ],
      picked: (point) =>
        card.replaceChildren(
          el("strong", {}, point.title),
          pairs(point.rows),
          el("h3", {}, "What it is"),
          pairs(point.details),
        ),
    });
    chart.append(el("figcaption", {}, `${points.length} candidates; ${front.length} on the front (large dots).`));
  };
  host.append(
    el(
      "div",
      { class: "controls" },
      choice(
        "Candidates",
        fronts.map(({ device, title }) => `${device}: ${title}`),
        shown,
      ),
    ),
    el("div", { class: "beside" }, chart, card),
  );
  shown(0);
}

function crossValidated({ errors }) {
  return errors
    ? `; cross-validated, it is off by ${number(errors.mape_percent, 2)} % on average, and ${number(errors.within_10_percent, 3)} % are within ±10 %`
    : "";
}

function drawPredictors(host, predictors) {
  if (!predictors.length)
    return host.append(
      el("p", { class: "note" }, "No predictor is named. hwloop report --predictor FILE.json shows one."),
    );
  const grid = el("div", { class: "columns" });
  host.append(grid);
  for (const one of predictors) {
    const figure = el(
      "figure",
      {},
      el("h3", {}, one.title),
      el(
        "p",
        { class: "note" },
        [
          `${one.file}: learned from ${one.rows} models${one.space ? ` of ${one.space}` : ""}${crossValidated(one)}.`,
          one.says,
        ].join(" "),
      ),
    );
    grid.append(figure);
    const points = one.points.map(([name, x, y, low, high]) => ({
      x,
      y,
      low,
      high: high === "inf" ? Infinity : high,
      title: name,
      rows: [
        ["measured", amount(x, one.unit)],
        ["predicted", amount(y, one.unit)],
        ["interval", `${amount(low, one.unit)} to ${high === "inf" ? "∞" : amount(high, one.unit)}`],
        ["off by", percent(y / x - 1)],
      ],
    }));
    if (points.length) againstMeasured(figure, points, one.unit, one.title);
  }
}
