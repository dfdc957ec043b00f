// Puts a load on a server and a sidecar for eight minutes, and draws the dashboard from what Prometheus then has.
// It needs the Debian packages chromium, pngquant and prometheus. In this directory:
//
//   npm install --no-package-lock
//   ROLECALL=../../target/release/rolecall node load.mjs /tmp/all.png && pngquant --force --output dashboard.png /tmp/all.png
//
// One watcher reads nothing from second 130 to 220. A burst of writes begins in second 150. In second 270 the server
// stops for 20 seconds, while the sidecar goes on.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ask, draw } from './draw.mjs';

const SECONDS = 480;
const SERVER = '127.0.0.1:50151';
const SIDECAR = '127.0.0.1:50152';
const PROMETHEUS = '127.0.0.1:9490';
const SERVER_METRICS = '127.0.0.1:9461';
const SIDECAR_METRICS = '127.0.0.1:9462';
const ORGS = 60;
const USERS = 25;
const PROMETHEUS_CONFIG = `
global: { scrape_interval: 2s }
scrape_configs:
  - job_name: rolecall
    static_configs:
      - { targets: ["${SERVER_METRICS}"], labels: { instance: server } }
      - { targets: ["${SIDECAR_METRICS}"], labels: { instance: sidecar } }
`;

const rolecall = resolve(process.env.ROLECALL);
const picture = resolve(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), 'rolecall-dashboard-'));
const services = ['api_key', 'audit', 'check', 'membership', 'org', 'subscription', 'watch'];
const options = { includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))], enums: String, keepCase: true };
const definition = loadSync(services.map((name) => `rolecall/v1/${name}.proto`), options);
const api = grpc.loadPackageDefinition(definition).rolecall.v1;

/** Starts a program. Returns a function that stops it. */
function start(command, ...flags) {
  const child = spawn(command, flags, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((done) => child.on('exit', done));
  return () => (child.kill('SIGTERM'), ended);
}

function startServer() {
  return start(rolecall, 'serve', '--demo', '--listen', SERVER, '--metrics-listen', SERVER_METRICS, '--log', 'error');
}

function startSidecar() {
  const flags = ['--upstream', SERVER, '--listen', SIDECAR, '--metrics-listen', SIDECAR_METRICS, '--log', 'error'];
  return start(rolecall, 'sidecar', ...flags);
}

function startPrometheus() {
  writeFileSync(join(folder, 'prometheus.yml'), PROMETHEUS_CONFIG);
  const flags = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', '--log.level=error'];
  return start('prometheus', ...flags, `--web.listen-address=${PROMETHEUS}`);
}

const clients = new Map();
/** Calls a method. Returns the answer, or undefined for an error: errors are part of the load. */
function call(address, service, method, request, key) {
  const name = `${address} ${service}`;
  if (!clients.has(name)) {
    const options = { 'grpc.max_reconnect_backoff_ms': 1_000 };
    clients.set(name, new api[service](address, grpc.credentials.createInsecure(), options));
  }
  const metadata = new grpc.Metadata();
  if (key) metadata.set('authorization', `Bearer ${key}`);
  const deadline = Date.now() + 5_000;
  return new Promise((done) => {
    clients.get(name)[method](request, metadata, { deadline }, (_, answer) => done(answer));
  });
}

const random = (count) => Math.floor(Math.random() * count);
const began = Date.now();
const seconds = () => (Date.now() - began) / 1_000;

/** Does something about `rate` times a second until the load ends, in waves. */
async function often(rate, something) {
  while (seconds() < SECONDS) {
    something();
    await sleep(1_000 / rate / (1 + 0.35 * Math.sin(seconds() / 20) + 0.2 * Math.sin(seconds() / 7)));
  }
}

/** Returns a check. All together they have almost every decision. */
function question() {
  const roll = random(100);
  if (roll < 3) return { org_id: 'acme', user_id: 'eve', permission: 'reports.view' };
  if (roll < 7) return { org_id: 'acme', user_id: 'bea', permission: 'billing.manage' };
  if (roll < 10) return { org_id: 'acme', user_id: 'tom', permission: 'members.manage' };
  if (roll < 12) return { org_id: 'no-such-org', user_id: 'ann', permission: 'reports.view' };
  if (roll < 14) return { org_id: 'acme', user_id: 'ann', permission: 'reports.veiw' };
  const org_id = `org-${random(ORGS)}`;
  if (roll < 22) return { org_id, user_id: 'visitor', permission: 'reports.view' };
  return { org_id, user_id: `user-${random(USERS)}`, permission: roll < 35 ? 'sso.configure' : 'reports.view' };
}

const questions = (count) => Array.from({ length: count }, question);

/** Adds orgs to the example of `--demo`, and an Admin whose role expires soon. Returns a key that may not check. */
async function fill() {
  const orgs = Array.from({ length: ORGS }, (_, org) => `org-${org}`);
  for (const org_id of orgs) await call(SERVER, 'OrgService', 'CreateOrg', { org_id });
  await call(SERVER, 'SubscriptionService', 'BatchSubscribeOrgs', { org_ids: orgs, role_mapping: 'Paid' });
  const users = Array.from({ length: USERS }, (_, user) => `user-${user}`);
  const rows = orgs.flatMap((org_id) => users.map((user_id) => ({ org_id, user_id, add: {} })));
  await call(SERVER, 'MembershipService', 'BatchWriteMembers', { rows });
  const roles = [{ role: 'Admin', expire_time: { seconds: Math.floor(Date.now() / 1_000) + 2 } }];
  await call(SERVER, 'MembershipService', 'AddMember', { org_id: 'acme', user_id: 'tom', roles });
  await call(SERVER, 'MembershipService', 'AddMember', { project: 'workspace', org_id: 'team', user_id: 'ann' });
  const key = { display_name: 'sidecar', operator: 'ann', environment: 'ENVIRONMENT_LIVE', scope: { sidecar_only: true } };
  return (await call(SERVER, 'ApiKeyService', 'CreateApiKey', key)).token;
}

let writes = 0;
/** Adds a member and gives it another role. Each tenth write is refused, and each tenth creates and deletes an org. */
async function write() {
  const number = writes++;
  const org_id = `org-${random(ORGS)}`;
  const user_id = `new-${number}`;
  if (number % 10 === 0) return call(SERVER, 'MembershipService', 'AddMember', { org_id, user_id: 'user-1' });
  if (number % 10 === 1) {
    await call(SERVER, 'OrgService', 'CreateOrg', { org_id: user_id, creator_user_id: user_id });
    return call(SERVER, 'OrgService', 'DeleteOrg', { org_id: user_id });
  }
  await call(SERVER, 'MembershipService', 'AddMember', { org_id, user_id });
  return call(SERVER, 'MembershipService', 'SetMemberRoles', { org_id, user_id, roles: [{ role: 'Admin' }] });
}

async function burst() {
  await sleep(150_000);
  for (let round = 0; round < 40; round++) await Promise.all(Array.from({ length: 40 }, write));
}

/** Watches until the load ends, over a connection of its own. */
async function watch(pauses) {
  while (seconds() < SECONDS) {
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    const client = new api.WatchService(SERVER, grpc.credentials.createInsecure(), options);
    const stream = client.Watch({ project: 'default' });
    stream.on('data', () => {
      if (!pauses || seconds() < 130 || seconds() > 220) return;
      stream.pause();
      setTimeout(() => stream.resume(), 1_000 * (220 - seconds()));
    });
    const ended = new Promise((done) => stream.on('error', done).on('end', done));
    await Promise.race([ended, sleep(1_000 * (SECONDS - seconds()))]);
    stream.cancel();
    client.close();
    await sleep(1_000);
  }
}

function load(key) {
  const check = (address) => () => call(address, 'CheckService', 'Check', question());
  const malformed = () => (random(5) === 0 ? [{ org_id: 'acme' }] : []);
  return Promise.all([
    often(120, check(SERVER)),
    often(60, check(SIDECAR)),
    often(0.7, () => call(SERVER, 'CheckService', 'Check', question(), key)),
    often(0.4, () => call(SERVER, 'CheckService', 'Check', question(), 'unknown')),
    often(0.3, () => call(SIDECAR, 'CheckService', 'Check', { ...question(), consistency: { latest: true } })),
    often(8, () => call(SERVER, 'CheckService', 'BatchCheck', { items: questions(20 + random(180)) })),
    often(4, () => call(SIDECAR, 'CheckService', 'BatchCheck', { items: [...questions(50), ...malformed()] })),
    often(3, () => call(SERVER, 'CheckService', 'GetAccess', { org_id: 'acme', user_id: 'ann' })),
    often(2, () => call(SERVER, 'MembershipService', 'ListMembers', { org_id: `org-${random(ORGS)}` })),
    often(1, () => call(SERVER, 'AuditService', 'ListEvents', { page_size: 50 })),
    often(0.5, () => call(SERVER, 'OrgService', 'GetOrg', { org_id: 'no-such-org' })),
    often(6, write),
    burst(),
    ...Array.from({ length: 9 }, (_, number) => watch(number === 0)),
  ]);
}

const stop = { server: startServer(), prometheus: startPrometheus() };
async function restartServer() {
  await sleep(270_000);
  await stop.server();
  await sleep(20_000);
  stop.server = startServer();
}

try {
  await sleep(4_000);
  stop.sidecar = startSidecar();
  const key = await fill();
  await Promise.all([load(key), restartServer()]);
  await draw(await ask(`http://${PROMETHEUS}`, SECONDS), picture);
} finally {
  await Promise.all(Object.values(stop).map((stop) => stop()));
  clients.forEach((client) => client.close());
  rmSync(folder, { recursive: true });
}
