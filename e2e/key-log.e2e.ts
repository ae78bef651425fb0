import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CloudClient } from '@holdfast/agent/cloud';
import { systemClock, type Clock } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import { afterwards } from '@holdfast/testing';
import {
  canonicalJson,
  keyLogOrigin,
  openCheckpoint,
  openHeadFile,
  parseCanonicalJson,
  parseKeyLogLeaf,
  parseVerifierKey,
  rootAt,
} from '@holdfast/trust';
import { startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { CloudView } from './cloud-view.ts';
import { holdfast } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { enrollDevice, startRunningCloud, type AdministeredTenant } from './running-cloud.ts';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');

/** The machine's clock, on which nobody sleeps long. */
const hasty: Clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 1_000), signal),
};

/** An enrolled agent that protects a file. */
async function startAgent(t: TestContext, tenant: AdministeredTenant) {
  const device = await enrollDevice(t, tenant);
  const { files, socketPath, ask } = await startAgentOf(t, device, { clock: hasty });
  writeFileSync(path.join(files, 'file'), 'content');
  return { folder: device.stateDir, files, socketPath, ask, enrollment: device.enrollment };
}

type KeyLog = {
  readonly leaves: number;
  readonly own: readonly { readonly kind: string; readonly text: string }[];
  readonly faults: readonly object[];
};

test('two computers follow the key log of their tenant, each sees its own leaves, and their heads compare offline', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const [one, other] = [await startAgent(t, tenant), await startAgent(t, tenant)];
  const logOf = async ({ socketPath }: typeof one) => {
    const { status, stdout, stderr } = await holdfast(socketPath, ['key', 'log', '--json']);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as KeyLog;
  };
  const kinds = ({ own }: KeyLog) => own.map(({ kind }) => kind);
  const isWhole = async (agent: typeof one) => kinds(await logOf(agent)).includes('keyring_added');
  await until(async () => (await isWhole(one)) && (await isWhole(other)), 'leaves about both archives', 60_000);
  for (const agent of [one, other]) {
    const log = await logOf(agent);
    // The leaf of the day comes at seven minutes past an hour, which may be now, and that of a try of new slots within seconds.
    const ofDevice = kinds(log).filter((kind) => kind !== 'daily_heads' && kind !== 'escrow_tried');
    assert.deepEqual(new Set(ofDevice), new Set(['escrow_keys_set', 'key_registered', 'keyring_added']));
    assert.deepEqual(log.faults, []);
    assert.ok(log.leaves > log.own.length, 'there are leaves about the other');
    const registered = log.own.find(({ kind }) => kind === 'key_registered');
    assert.ok(registered?.text.includes(agent.enrollment.deviceUid));
    const shown = await holdfast(agent.socketPath, ['key', 'log']);
    assert.match(shown.stdout, /a device enrolled with its key/);
  }
  const files = [one, other].map(({ folder }) => path.join(folder, 'head file'));
  for (const [place, { socketPath }] of [one, other].entries()) {
    const { status, stderr } = await holdfast(socketPath, ['key', 'log', '--write-head', files[place]!]);
    assert.equal(status, 0, stderr);
    assert.equal((await holdfast(socketPath, ['key', 'log', '--write-head', files[place]!])).status, 6, 'it is there');
  }
  const nowhere = path.join(one.folder, 'no agent');
  const checked = await holdfast(nowhere, ['key', 'log', '--check-heads', ...files, '--json']);
  assert.equal(checked.status, 0, checked.stderr);
  assert.equal((JSON.parse(checked.stdout) as { verdict: string }).verdict, 'one_log');

  const wrong: Readonly<Record<string, readonly [args: readonly string[], status: number, code: string]>> = {
    'one file': [[files[0]!], 2, 'head_check.too_few'],
    'no such file': [[files[0]!, nowhere], 5, 'head_check.not_read'],
    'a file that is none': [[files[0]!, launcher], 2, 'head_file.malformed'],
    'an altered file': [[files[0]!, alteredCopy(files[1]!)], 9, 'head_file.unproven'],
  };
  for (const [what, [args, status, code]] of Object.entries(wrong)) {
    const refused = await holdfast(nowhere, ['key', 'log', '--check-heads', ...args, '--json']);
    const { error } = JSON.parse(refused.stderr) as { error: { code: string; remedy?: string } };
    assert.deepEqual([refused.status, error.code], [status, code], what);
    assert.ok(error.remedy, what);
  }
  assert.deepEqual((await statusOf(one)).keyLog?.faults, []);
});

test('a commit has the head of the key log that its writer verified last', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const { folder, files, ask, enrollment } = await startAgent(t, tenant);
  const verified = () =>
    ask('key.log-head').catch(() => undefined) as Promise<{ readonly treeSize: number } | undefined>;
  await until(async () => (await verified()) !== undefined, 'a verified head', 60_000);
  const known = (await verified())!;
  const view = new CloudView(folder);
  afterwards(t, () => view.close());
  await view.newCommits();
  writeFileSync(path.join(files, 'file'), 'changed');
  await ask('backup');
  const origin = keyLogOrigin(enrollment.installationId, enrollment.tenantUid);
  const { keyLogHead = '' } = (await view.newCommits()).at(-1)!;
  const head = openCheckpoint(keyLogHead, origin, [parseVerifierKey(enrollment.logKey)]);
  assert.ok(head.treeSize >= known.treeSize);
});

test('a new recovery code is a leaf about the archive that it opens, and so is each keyring that the server has', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const { ask, enrollment } = await startAgent(t, tenant);
  const logged = async () => {
    const { leaves } = await tenant.client.keyLog.leaves({ query: {} });
    return leaves.map(({ body }) => parseKeyLogLeaf(body)).filter(({ kind }) => kind === 'keyring_added');
  };
  await until(async () => (await logged()).length > 0, 'a leaf of the first keyring', 60_000);
  const before = (await logged()).length;
  const { code } = (await ask('key.show-recovery')) as { readonly code: string };
  await ask('key.confirm-recovery', { code });
  const keyringThere = async () => {
    const client = new CloudClient(enrollment);
    try {
      return (await client.call(storageRoutes.list, {})).archives[0]?.keyring?.number ?? 0;
    } finally {
      client.close();
    }
  };
  await until(async () => (await keyringThere()) > before, 'the next keyring at the server', 60_000);
  const numbers = (await logged()).map((leaf) => leaf.kind === 'keyring_added' && leaf.keyringNumber);
  assert.deepEqual(
    numbers,
    Array.from({ length: await keyringThere() }, (_, index) => index + 1),
  );
});

/** A head file with one leaf changed. */
function alteredCopy(file: string): string {
  const { head: _, ...opened } = openHeadFile(readFileSync(file, 'utf8'));
  const text = readFileSync(file, 'utf8').trimEnd();
  const members = parseCanonicalJson(text) as Record<string, string>;
  const leaves = Buffer.concat([...opened.leaves.slice(0, -1), rootAt(opened.leaves, 1)]).toString('base64');
  const copy = `${file} altered`;
  writeFileSync(copy, canonicalJson({ ...members, leaves }));
  return copy;
}
