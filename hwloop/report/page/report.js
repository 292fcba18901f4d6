"use strict";
/* The page of a store. */

const data = JSON.parse(document.getElementById("data").textContent);
const measurements = measurementsOf(data.measurements);
const here = (name) => document.getElementById(`${name}-here`);

drawFleet(here("fleet"), data.fleet);
drawMeasurements(here("measurements"), measurements);
drawFronts(here("fronts"), data.fronts);
drawPredictors(here("predicted"), data.predicted);
drawKernels(here("kernels"), data.profiles);
drawHistory(here("history"), measurements);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
