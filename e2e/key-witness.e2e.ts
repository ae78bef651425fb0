import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLog, type Log, type WitnessedLog } from '@holdfast/cloud';
import { afterwards } from '@holdfast/testing';
import { keyLogOrigin } from '@holdfast/trust';
import { TestWitness } from '@holdfast/trust/testing';
import { AdjustableClock } from './adjustable-clock.ts';
import { startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { holdfastJson, runHoldfast } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import {
  administer,
  enrollDevice,
  newFolder,
  startRunningCloud,
  type AdministeredTenant,
  type EnrolledDevice,
} from './running-cloud.ts';

const HOUR = 3_600_000;

/** A clock that is set ahead, and on which nobody sleeps long. */
class HastyClock extends AdjustableClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(Math.min(ms, 500), signal);
  }
}

async function startWitness(t: TestContext): Promise<TestWitness> {
  const witness = await TestWitness.start();
  afterwards(t, () => witness.stop().catch(() => undefined));
  return witness;
}

/** What a person sets up at the witness, from what the computer pinned; says the name of the log. */
function introduce(witness: TestWitness, { enrollment }: EnrolledDevice): string {
  const origin = keyLogOrigin(enrollment.installationId, enrollment.tenantUid);
  witness.trust(origin, enrollment.logKey);
  return origin;
}

const settings = (witness: TestWitness) => ({ HOLDFAST_WITNESSES: `${witness.url} ${witness.key}` });

type KeyLog = {
  readonly leaves: number;
  readonly faults: readonly { readonly code: string }[];
  readonly late: readonly { readonly code: string; readonly remedy?: string }[];
};
type Agent = Awaited<ReturnType<typeof startAgentOf>>;

async function keyLogOf(agent: Agent): Promise<KeyLog> {
  return ((await statusOf(agent)) as unknown as { readonly keyLog: KeyLog }).keyLog;
}

/** The codes of what is late, but for what only a clock that was set ahead makes late until the next word of the server. */
async function lateOf(agent: Agent): Promise<readonly string[]> {
  const codes = (await keyLogOf(agent)).late.map(({ code }) => code);
  return codes.filter((code) => code !== 'key_log.unchecked' && code !== 'key_log.daily_missing');
}

/** The size that a demanded witness is known to have cosigned. */
async function cosignedAt({ ask }: Agent): Promise<number> {
  const { witnesses } = (await ask('key.witness-list')) as unknown as {
    readonly witnesses: readonly { readonly cosigned?: { readonly treeSize: number } }[];
  };
  return witnesses[0]?.cosigned?.treeSize ?? 0;
}

/** Lets a device enrol, which is a leaf of the log. */
async function grow(t: TestContext, tenant: AdministeredTenant): Promise<void> {
  await enrollDevice(t, tenant);
}

test('a witness cosigns what computers are shown; one that is away is said after a day, and no more when it is back', async (t) => {
  const witness = await startWitness(t);
  const [serverClock, clock] = [new HastyClock(), new HastyClock()];
  const running = await startRunningCloud(t, { edges: { clock: serverClock }, env: settings(witness) });
  const tenant = await running.addTenant('home');
  const device = await enrollDevice(t, tenant);
  const origin = introduce(witness, device);
  const agent = await startAgentOf(t, device, { clock });
  const added = await holdfastJson(agent.socketPath, ['key', 'witness', 'add', witness.key]);
  assert.equal(added.status, 0, added.text);
  await until(
    async () => {
      const { leaves } = await keyLogOf(agent);
      // The last of those that come by themselves says that the escrow slot was tried.
      return leaves > 3 && (await cosignedAt(agent)) === leaves;
    },
    'a cosigned head',
    90_000,
  );
  assert.deepEqual([await lateOf(agent), (await keyLogOf(agent)).faults], [[], []]);
  const listed = await holdfastJson(agent.socketPath, ['key', 'witness', 'list']);
  assert.match(listed.text, /\u2014 witness\.example\/w1 /, 'the head is printed with its lines');

  const told = await runHoldfast({ HOLDFAST_HOME: running.homeDir, ...settings(witness) }, [
    'cloud',
    'witnesses',
    '--json',
  ]);
  assert.equal(told.status, 0, told.stderr);
  const { logs } = JSON.parse(told.stdout) as { readonly logs: readonly WitnessedLog[] };
  const log = logs.find(({ tenant: slug }) => slug === 'home');
  assert.deepEqual([log?.origin, log?.verifier], [origin, device.enrollment.logKey]);
  const [shown] = log?.witnesses ?? [];
  assert.deepEqual([shown?.url, shown?.cosigned?.treeSize], [witness.url, witness.sizeOf(origin)]);

  const { port } = witness;
  const cosigned = await cosignedAt(agent);
  await witness.stop();
  await grow(t, tenant);
  await until(async () => (await keyLogOf(agent)).leaves > cosigned, 'the leaf that nobody cosigned', 60_000);
  assert.deepEqual(await lateOf(agent), [], 'a day has not gone by');
  clock.advance(26 * HOUR);
  assert.deepEqual(await lateOf(agent), ['key_log.unwitnessed']);
  const { stdout } = await runHoldfast({ HOLDFAST_SOCKET: agent.socketPath }, ['status']);
  assert.match(stdout, /A witness that this computer demands has cosigned nothing/);

  await witness.listen(port);
  serverClock.advance(3 * HOUR);
  // The cosignature of now is a day old for a computer whose clock is a day ahead.
  clock.advance(-26 * HOUR);
  await until(async () => (await cosignedAt(agent)) > cosigned, 'the cosignature that was missing', 90_000);
  assert.deepEqual([await lateOf(agent), (await keyLogOf(agent)).faults], [[], []]);
});

test('a server that was set back goes on with another log, and a computer that was off finds it through the witness', async (t) => {
  const witness = await startWitness(t);
  const errors: string[] = [];
  const log: Log = {
    ...silentLog,
    error: (facts) => errors.push(String((facts as { err?: { code?: string } }).err?.code)),
  };
  const edges = { clock: new HastyClock(), log };
  const env = settings(witness);
  const first = await startRunningCloud(t, { edges, env });
  const { port } = first.cloud;
  const tenant = await first.addTenant('home');
  const device = await enrollDevice(t, tenant);
  const origin = introduce(witness, device);
  const clock = new HastyClock();
  const before = await startAgentOf(t, device, { clock });
  await before.ask('key.witness-add', { key: witness.key });
  await until(
    async () => {
      const { leaves } = await keyLogOf(before);
      return leaves > 3 && (await cosignedAt(before)) === leaves;
    },
    'a cosigned head',
    90_000,
  );
  await before.agent.stop();
  await first.stop();
  const copy = path.join(newFolder(t), 'copy');
  execFileSync('cp', ['-a', first.homeDir, copy]);

  // The log goes on while the computer is off: the witness sees it.
  const second = await startRunningCloud(t, { edges, env, port, homeDir: first.homeDir });
  const known = witness.sizeOf(origin);
  await grow(t, await administer(second.cloud, tenant));
  await until(() => witness.sizeOf(origin) > known, 'the leaf at the witness', 90_000);
  await second.stop();
  assert.deepEqual(errors, []);

  const other = await startRunningCloud(t, { edges, env, port, homeDir: copy });
  const again = await administer(other.cloud, tenant);
  for (let enrolled = 0; enrolled < 3; enrolled++) await grow(t, again);
  await until(() => errors.length > 0, 'the word of the server', 90_000);
  assert.ok(['witness.set_back', 'witness.forked'].includes(errors[0]!), errors[0]);
  const { entries } = await again.client.audit.entries({ query: { limit: '1000' } });
  assert.ok(entries.some(({ entry }) => entry.includes('key_log.witness_contradicted')));
  const agent = await startAgentOf(t, device, { clock, files: before.files });
  await until(async () => (await keyLogOf(agent)).leaves > known, 'the other log', 60_000);
  assert.deepEqual([await lateOf(agent), (await keyLogOf(agent)).faults], [[], []], 'alone it cannot know');
  clock.advance(26 * HOUR);
  assert.deepEqual(await lateOf(agent), ['key_log.unwitnessed']);
  assert.equal(witness.sizeOf(origin), known + 1, 'the witness cosigned nothing of it');
});
