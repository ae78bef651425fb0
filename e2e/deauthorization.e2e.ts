import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { type CloudClient, heartbeat } from '@holdfast/agent/cloud';
import { CodedError, systemClock, type Clock } from '@holdfast/base';
import { deviceErrors } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import { startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { until } from './process-tree.ts';
import { aboutDevice, enrollDevice, startRunningCloud, type AdministeredTenant } from './running-cloud.ts';

/** A server that says to whoever asks that it was deauthorised, whatever is asked. */
type FalseServer = { readonly url: string; details: Record<string, unknown>; asked: number };

/** Behind the name of the real server, with its certificate: a proxy that terminates TLS, or a server gone wrong. */
async function startFalseServer(t: TestContext, homeDir: string): Promise<FalseServer> {
  const pem = readFileSync(path.join(homeDir, 'tls', 'server.pem'));
  const server = createServer({ cert: pem, key: pem });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterwards(t, () => server.close());
  afterwards(t, () => server.closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const answers: FalseServer = { url: `https://localhost:${port}`, details: {}, asked: 0 };
  server.on('request', (request, reply) => {
    answers.asked++;
    request.resume();
    const { code, kind, message: title } = deviceErrors.deauthorized();
    reply.writeHead(401, { 'content-type': 'application/problem+json' });
    reply.end(JSON.stringify({ code, kind, title, details: answers.details, requestId: 'none' }));
  });
  return answers;
}

/** The machine's clock, on which nobody sleeps long. */
const hasty: Clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 1_000), signal),
};

/** The newest head of a tenant's audit log, as its server signed it. */
async function headOf({ client }: AdministeredTenant): Promise<string> {
  let note = '';
  await until(
    async () => {
      const { heads } = await client.audit.heads({ query: {} });
      note = heads[0]?.note ?? '';
      return note !== '';
    },
    'a signed head',
    30_000,
  );
  return note;
}

/** Deauthorises a device at its real server; returns the statement that it is shown. */
async function deauthorize(tenant: AdministeredTenant, client: CloudClient): Promise<string> {
  await tenant.client.devices.deauthorize({ params: { deviceUid: client.enrollment.deviceUid } });
  let statement: unknown;
  await until(async () => {
    const refusal = await heartbeat(client, aboutDevice).catch((error: unknown) => error);
    if (!(refusal instanceof CodedError)) return false;
    assert.equal(refusal.code, 'devices.deauthorized');
    statement = refusal.details['statement'];
    return true;
  }, 'the refusal');
  return String(statement);
}

test('only the proof that this very device was deauthorised removes its keys, whoever answers in the name of the server', async (t) => {
  const running = await startRunningCloud(t, { edges: { clock: hasty } });
  const [tenant, neighbours] = [await running.addTenant('home'), await running.addTenant('next')];
  const neighbour = await enrollDevice(t, neighbours);
  const colleague = await enrollDevice(t, tenant);
  const before = await enrollDevice(t, tenant);
  const older = await deauthorize(tenant, before.client);
  before.store.remove();
  const device = await enrollDevice(t, tenant, { stateDir: before.stateDir });
  const { stateDir, store, enrollment, client } = device;

  const server = await startFalseServer(t, running.homeDir);
  store.save({ ...enrollment, url: server.url });
  const forged: Readonly<Record<string, Record<string, unknown>>> = {
    'no statement': {},
    'that of an older enrolment in this folder': { statement: older },
    'that of another device of the tenant': { statement: await deauthorize(tenant, colleague.client) },
    "that of another tenant's device": { statement: await deauthorize(neighbours, neighbour.client) },
    'a head of the audit log': { statement: await headOf(tenant) },
  };
  const told: string[] = [];
  const { agent, socketPath } = await startAgentOf(t, device, {
    clock: hasty,
    log: {
      info: () => undefined,
      warn: () => undefined,
      error: (message, { code }) => told.push(`${code}: ${message}`),
    },
  });
  const kept = () =>
    readdirSync(stateDir).filter((name) => /^(keys\.json|enrollment\.json|agent\.db|index\.db)$/.test(name));
  await until(() => kept().length === 4, 'the keys and the index', 30_000);
  const unproven = () => told.filter((line) => line.startsWith('cloud_link.deauthorization_unproven')).length;
  for (const [about, details] of Object.entries(forged)) {
    server.details = details;
    // The one under way may have been answered before.
    const enough = unproven() + 2;
    await until(() => unproven() >= enough || !existsSync(path.join(stateDir, 'keys.json')), about, 90_000);
    assert.equal(kept().length, 4, about);
  }
  const line = told.find((each) => each.startsWith('cloud_link.deauthorization_unproven'));
  assert.match(line ?? '', /nothing is removed; ask who runs the server/);
  const { standings } = await statusOf({ socketPath });
  const shown = standings.map(({ state, reason, remedy = '' }) => `${state}: ${reason}: ${remedy}`).join('\n');
  assert.match(shown, /^failed: The server says .* deauthorised, but cannot prove it; .*: ask who runs the server/);

  server.details = { statement: await deauthorize(tenant, client) };
  const begun = performance.now();
  await agent.ended;
  assert.ok(performance.now() - begun < 60_000);
  assert.deepEqual(kept(), []);
  assert.ok(server.asked > 0);
});
