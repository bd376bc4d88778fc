// Pictures of pages and of terminal output, by headless Chromium over its DevTools protocol; no package is needed.
//
//   node --experimental-websocket shoot.mjs JOBS.json
//
// JOBS is a list of {"in": FILE, "out": FILE.png or FILE.pdf, "width": 900, "height": 600, "dark": false, "ansi": false}.
// "height" 0 takes the whole page, 8000 points at most; "ansi" renders text with the colors of a terminal. A page that logs an error or asks for
// anything beyond itself ends the run with 1.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const COLORS = { 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341" };
const jobs = JSON.parse(readFileSync(process.argv[2], "utf8"));
const work = mkdtempSync(join(tmpdir(), "shoot-"));

function terminal(text) {
  const style = { bold: false, dim: false, color: "" };
  let html = "";
  for (const [, codes, run] of ("\x1b[m" + text).matchAll(/\x1b\[([0-9;]*)m([^\x1b]*)/g)) {
    for (const code of codes.split(";").map(Number)) {
      if (code === 0) Object.assign(style, { bold: false, dim: false, color: "" });
      else if (code === 1) style.bold = true;
      else if (code === 2) style.dim = true;
      else if (COLORS[code]) style.color = COLORS[code];
    }
    const css = `${style.bold ? "font-weight:700;" : ""}${style.dim ? "color:#8b949e;" : ""}${style.color ? `color:${style.color}` : ""}`;
    html += `<span style="${css}">${run.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</span>`;
  }
  return `<!doctype html><meta charset="utf-8"><style>body{margin:0;background:#0d1117}pre{margin:0;padding:14px 16px;color:#e6edf3;font:13px/1.35 "DejaVu Sans Mono",monospace;width:max-content}</style><pre>${html}</pre>`;
}

const browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb",
  "--remote-debugging-port=0", `--user-data-dir=${join(work, "profile")}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
const address = await new Promise((found, failed) => {
  let said = "";
  browser.stderr.on("data", (data) => {
    said += data;
    const match = said.match(/DevTools listening on (\S+)/);
    if (match) found(match[1]);
  });
  browser.on("exit", () => failed(new Error(`the browser did not start: ${said}`)));
});
const socket = new WebSocket(address);
await new Promise((open) => socket.addEventListener("open", open));

let last = 0;
const waiting = new Map();
const events = [];
socket.addEventListener("message", ({ data }) => {
  const message = JSON.parse(data);
  if (message.id) {
    const { done, failed } = waiting.get(message.id);
    message.error ? failed(new Error(JSON.stringify(message.error))) : done(message.result);
  } else {
    events.push(message);
  }
});
function call(sessionId, method, params = {}) {
  socket.send(JSON.stringify({ id: ++last, method, params, sessionId }));
  return new Promise((done, failed) => waiting.set(last, { done, failed }));
}

let wrong = 0;
for (const job of jobs) {
  let file = resolve(job.in);
  if (job.ansi) {
    const page = join(work, "terminal.html");
    writeFileSync(page, terminal(readFileSync(file, "utf8").replace(/\r/g, "")));
    file = page;
  }
  const { targetId } = await call(undefined, "Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call(undefined, "Target.attachToTarget", { targetId, flatten: true });
  for (const domain of ["Page", "Network", "Log", "Runtime"]) await call(sessionId, `${domain}.enable`);
  const scheme = { name: "prefers-color-scheme", value: job.dark ? "dark" : "light" };
  await call(sessionId, "Emulation.setEmulatedMedia", { features: [scheme] });
  const metrics = { width: job.width ?? 900, height: job.height || (job.ansi ? 50 : 600), deviceScaleFactor: job.scale ?? 1, mobile: false };
  await call(sessionId, "Emulation.setDeviceMetricsOverride", metrics);
  events.length = 0;
  const url = pathToFileURL(file).href;
  await call(sessionId, "Page.navigate", { url });
  while (!events.some((event) => event.method === "Page.loadEventFired")) await new Promise((tick) => setTimeout(tick, 20));
  for (const { method, params } of events) {
    const asked = method === "Network.requestWillBeSent" && params.request.url !== url && params.request.url;
    const logged = method === "Log.entryAdded" && params.entry.text;
    const threw = (method === "Runtime.exceptionThrown" || method === "Runtime.consoleAPICalled") && method;
    if (asked || logged || threw) {
      console.error(`${job.in}: ${asked || logged || threw}`);
      wrong = 1;
    }
  }
  if (job.out.endsWith(".pdf")) {
    const { data } = await call(sessionId, "Page.printToPDF", { printBackground: false });
    writeFileSync(job.out, Buffer.from(data, "base64"));
  } else {
    const { cssContentSize: all } = await call(sessionId, "Page.getLayoutMetrics");
    const width = job.ansi ? (await call(sessionId, "Runtime.evaluate", { expression: "Math.ceil(document.querySelector('pre').getBoundingClientRect().width)" })).result.value : metrics.width;
    const clip = { x: 0, y: 0, width, height: job.height || Math.min(all.height, 8000), scale: 1 };
    const { data } = await call(sessionId, "Page.captureScreenshot", { format: "png", clip, captureBeyondViewport: true });
    writeFileSync(job.out, Buffer.from(data, "base64"));
  }
  await call(undefined, "Target.closeTarget", { targetId });
}
await call(undefined, "Browser.close").catch(() => {});
await new Promise((gone) => browser.exitCode === null ? browser.on("exit", gone) : gone());
rmSync(work, { recursive: true, force: true });
process.exit(wrong);
