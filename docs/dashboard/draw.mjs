// Draws the dashboard with the components of Grafana, from the answers of a Prometheus.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const DASHBOARD = join(FOLDER, '../../deploy/grafana/rolecall.json');
/** Seconds between two points of a line. */
const STEP = 2;
const WIDTH = 1_600;

/** Returns the dashboard with the series of each of its expressions, over the last seconds. */
export async function ask(prometheus, seconds) {
  const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8'));
  const end = Math.floor(Date.now() / 1_000);
  const range = { start: end - seconds, end };
  for (const target of dashboard.panels.flatMap((panel) => panel.targets ?? [])) {
    const query = target.expr.replaceAll('$__rate_interval', '15s').replaceAll('$instance', '.*');
    const answer = await fetch(`${prometheus}/api/v1/query_range?${new URLSearchParams({ query, step: STEP, ...range })}`);
    const { status, error, data } = await answer.json();
    if (status !== 'success') throw new Error(`${query}: ${error}`);
    target.series = data.result;
  }
  return { dashboard, range, step: STEP, width: WIDTH };
}

/** Writes the picture of an answer of `ask`. */
export async function draw(data, picture) {
  const { outputFiles: [{ text }] } = await build({
    entryPoints: [join(FOLDER, 'page.jsx')], bundle: true, write: false, jsx: 'automatic', logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.css': 'empty', '.svg': 'dataurl', '.ttf': 'empty' },
  });
  const script = `window.data = ${JSON.stringify(data)};\n${text}`.replaceAll('</script', '<\\/script');
  const css = readFileSync(join(FOLDER, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8');
  const head = `<!doctype html><meta charset="utf-8"><style>${css} body { margin: 0 }</style>`;
  const body = `${head}<div id="root"></div><script>${script}</script>`;
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: WIDTH, height: 1_000 } });
    const failed = new Promise((_, fail) => page.on('pageerror', fail));
    // The components use the storage of a site, which a page without an address does not have.
    await page.route('http://dashboard/', (route) => route.fulfill({ contentType: 'text/html', body }));
    await page.goto('http://dashboard/');
    await Promise.race([failed, page.waitForTimeout(3_000)]);
    await page.screenshot({ path: picture, fullPage: true });
  } finally {
    await browser.close();
  }
}
