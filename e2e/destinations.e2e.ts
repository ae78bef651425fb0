import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { deriveKeyRing, openRecordSync, parseRecordHeader, RecordKind, recordLengthOf } from '@holdfast/archive';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';

type Standing = { readonly set: string; readonly destination: string; readonly state: string };

/** An agent with the set `home` at destination `a`, and the set `second` at `b`. */
async function begin(t: TestContext) {
  const agent = new RunningAgentProcess(t);
  const second = path.join(agent.folder, 'second');
  mkdirSync(second);
  await agent.start();
  const [a, b] = [agent.addDestination('a'), agent.addDestination('b')];
  run(agent, 'set', 'change', 'home', '--destination', a);
  run(agent, 'set', 'add', 'second', second, '--destination', b);
  return { agent, second, a, b };
}

function run(agent: RunningAgentProcess, ...args: readonly string[]): Readonly<Record<string, unknown>> {
  const { status, value, stderr } = agent.run(...args);
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
  return value;
}

/** Small and large files; each holds the marker, and no two are equal. */
function fill(folder: string, marker: string): void {
  for (let at = 0; at < 40; at++) {
    const directory = path.join(folder, `${marker} ${at % 4}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, `small ${at}`), `${marker} small ${at}`);
  }
  const large = Buffer.concat([Buffer.from(`${marker} large`), randomBytes(1_500_000)]);
  writeFileSync(path.join(folder, `${marker} large`), large);
}

function standings(agent: RunningAgentProcess): readonly Standing[] {
  return (run(agent, 'status')['standings'] as Standing[]) ?? [];
}

async function untilState(agent: RunningAgentProcess, what: Partial<Standing>): Promise<void> {
  const isMeant = (standing: Standing) => standing.set === what.set && standing.destination === what.destination;
  const isSo = () => standings(agent).some((standing) => isMeant(standing) && standing.state === what.state);
  await until(isSo, `${what.set} at ${what.destination} to be ${what.state}`, 60_000);
}

/** Every block and bundle of a destination folder, opened, by ordinal; the last marker it holds. */
function dataIn(agent: RunningAgentProcess, destination: string): ReadonlyMap<number, string> {
  const keys = keysOf(agent);
  const archive = path.join(
    destination,
    readdirSync(destination).find((name) => name.startsWith('holdfast-'))!,
  );
  const found = new Map<number, string>();
  for (const name of readdirSync(path.join(archive, 'segments'))) {
    const bytes = readFileSync(path.join(archive, 'segments', name));
    for (let at = 32; bytes.subarray(at, at + 4).toString() === 'HFR1';) {
      const header = parseRecordHeader(bytes, at);
      const end = at + recordLengthOf(header);
      if (header.kind === RecordKind.block || header.kind === RecordKind.bundle) {
        const raw = Buffer.from(openRecordSync(bytes.subarray(at, end), keys).raw).toString('latin1');
        found.set(header.ordinal, ['HOME', 'SECOND'].filter((marker) => raw.includes(marker)).join(' and '));
      }
      at = end;
    }
  }
  return found;
}

function keysOf(agent: RunningAgentProcess) {
  const file = path.join(agent.folder, `key ${randomBytes(4).toString('hex')}`);
  run(agent, 'key', 'export', '--out', file);
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const archiveId = Buffer.from(lines.find(([word]) => word === 'archive')![1]!, 'hex');
  const epochs = lines.filter(([word]) => word === 'epoch');
  const ring = epochs.map(([, number, suite, key]) => ({
    number: Number(number),
    suite: Number(suite),
    key: Buffer.from(key!, 'hex'),
  }));
  return { archiveId, ring: deriveKeyRing(archiveId, ring), file };
}

function markersIn(data: ReadonlyMap<number, string>): readonly string[] {
  return [...new Set([...data.values()].filter((marker) => marker !== ''))].toSorted();
}

function restoreEquals(agent: RunningAgentProcess, folder: string): void {
  const to = path.join(agent.folder, `restored ${randomBytes(4).toString('hex')}`);
  run(agent, 'restore', folder, '--to', to);
  execFileSync('diff', ['-r', folder, path.join(to, path.basename(folder))]);
}

test('each destination holds the blocks of its own sets alone; both restore, and recover gives from each what is there and names the rest', async (t) => {
  const { agent, second, a, b } = await begin(t);
  fill(agent.tree, 'HOME');
  fill(second, 'SECOND');
  const equal = randomBytes(600_000);
  agent.write('equal', equal);
  writeFileSync(path.join(second, 'equal'), equal);
  const report = run(agent, 'backup');
  assert.deepEqual(report['sets'], ['home', 'second']);
  assert.deepEqual(markersIn(dataIn(agent, a)), ['HOME']);
  assert.deepEqual(markersIn(dataIn(agent, b)), ['SECOND']);
  restoreEquals(agent, agent.tree);
  restoreEquals(agent, second);
  assert.equal(agent.run('verify', '--full').status, 0);
  assert.deepEqual(
    standings(agent).flatMap(({ set, destination, state }) => (state === 'ended' ? [] : [[set, destination, state]])),
    [
      ['home', a, 'protected'],
      ['second', b, 'protected'],
    ],
  );
  const { file } = keysOf(agent);
  await agent.kill('SIGTERM');
  for (const [destination, there, elsewhere] of [
    [a, agent.tree, second],
    [b, second, agent.tree],
  ] as const) {
    const out = path.join(agent.folder, `out ${path.basename(destination)}`);
    const recovered = agent.run('recover', destination, '--key', file, '--to', out);
    execFileSync('diff', ['-r', there, path.join(out, there)]);
    assert.notEqual(recovered.status, 0, 'what is not there is no success');
    assert.match(recovered.stdout + recovered.stderr, new RegExp(path.join(elsewhere, 'equal')));
  }
});

test('a backup of one set looks at that set alone, and what another set selects, too, keeps both', async (t) => {
  const { agent, second } = await begin(t);
  fill(agent.tree, 'HOME');
  fill(second, 'SECOND');
  run(agent, 'backup');
  run(agent, 'set', 'add', 'shared', path.join(second, 'SECOND 1'), '--pause', '00:00-23:59');
  const one = run(agent, 'backup', '--set', 'shared');
  assert.deepEqual([one['sets'], one['problems']], [['shared'], []]);
  assert.ok(Number(one['files']) < 20, `${String(one['files'])} entries were looked at`);
  const why = run(agent, 'why', path.join(second, 'SECOND 1', 'small 1'));
  assert.deepEqual(why['sets'], ['second', 'shared']);
  const none = agent.run('backup', '--set', 'nothing');
  assert.deepEqual([none.status, (none.value['error'] as { code: string }).code], [5, 'sets.not_found']);
  restoreEquals(agent, second);
});

test('a destination that was away gets what its sets stored meanwhile and nothing else, and a set without any waits', async (t) => {
  const { agent, second, a, b } = await begin(t);
  run(agent, 'set', 'change', 'home', '--destination', a, b);
  fill(agent.tree, 'HOME');
  fill(second, 'SECOND');
  run(agent, 'backup');
  await agent.kill('SIGTERM');
  renameSync(a, `${a} away`);
  await agent.start();
  agent.write('later', `HOME later ${'x'.repeat(100_000)}`);
  writeFileSync(path.join(second, 'later'), 'SECOND later');
  await until(() => agent.run('ls', path.join(second, 'later')).status === 0, 'the changes at b', 30_000);
  await untilState(agent, { set: 'home', destination: a, state: 'behind' });
  await agent.kill('SIGTERM');
  renameSync(`${a} away`, a);
  renameSync(b, `${b} away`);
  await agent.start();
  agent.write('last', 'HOME last');
  writeFileSync(path.join(second, 'last'), 'SECOND last');
  await untilState(agent, { set: 'second', destination: b, state: 'behind' });
  // What home stored while a was away is at b alone, and b is away: a cannot be brought to the newest commit as it is.
  renameSync(`${b} away`, b);
  for (const [set, destination] of [
    ['home', a],
    ['home', b],
    ['second', b],
  ] as const) {
    await untilState(agent, { set, destination, state: 'protected' });
  }
  assert.deepEqual(markersIn(dataIn(agent, a)), ['HOME']);
  assert.deepEqual(markersIn(dataIn(agent, b)), ['HOME', 'SECOND']);
  const verified = agent.run('verify', '--full');
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  restoreEquals(agent, agent.tree);
  restoreEquals(agent, second);
});

test('a set that is bound to another destination later is sent there as it is, and one that leaves a destination sends nothing more', async (t) => {
  const { agent, second, a, b } = await begin(t);
  fill(agent.tree, 'HOME');
  fill(second, 'SECOND');
  run(agent, 'backup');
  const before = dataIn(agent, b);
  run(agent, 'set', 'change', 'second', '--destination', a, b);
  await untilState(agent, { set: 'second', destination: a, state: 'protected' });
  const there = dataIn(agent, a);
  assert.deepEqual(
    [...before.keys()].filter((ordinal) => !there.has(ordinal)),
    [],
  );
  run(agent, 'set', 'change', 'second', '--destination', a);
  writeFileSync(path.join(second, 'new'), 'SECOND new');
  run(agent, 'backup');
  assert.deepEqual(new Set(dataIn(agent, b).keys()), new Set(before.keys()));
  await untilState(agent, { set: 'second', destination: b, state: 'ended' });
  await untilState(agent, { set: 'second', destination: a, state: 'protected' });
  const unknown = agent.run('set', 'change', 'second', '--destination', path.join(agent.folder, 'nowhere'));
  assert.equal((unknown.value['error'] as { code: string }).code, 'sets.destination_unknown');
  const refused = agent.run('destination', 'remove', a);
  assert.equal((refused.value['error'] as { code: string }).code, 'destinations.only_of_set');
  const { file } = keysOf(agent);
  await agent.kill('SIGTERM');
  const out = path.join(agent.folder, 'out');
  const recovered = agent.run('recover', a, '--key', file, '--to', out);
  assert.equal(recovered.status, 0, recovered.stderr);
  for (const folder of [agent.tree, second]) execFileSync('diff', ['-r', folder, path.join(out, folder)]);
});

test('a set whose only destination is gone is read again for the one it is bound to now', async (t) => {
  const { agent, a, b } = await begin(t);
  fill(agent.tree, 'HOME');
  run(agent, 'backup');
  await agent.kill('SIGTERM');
  renameSync(a, `${a} lost`);
  const changed = path.join(agent.tree, 'HOME 1', 'small 1');
  writeFileSync(changed, 'HOME is other now');
  await agent.start();
  run(agent, 'set', 'change', 'home', '--destination', b);
  run(agent, 'destination', 'remove', a);
  await untilState(agent, { set: 'home', destination: b, state: 'protected' });
  restoreEquals(agent, agent.tree);
  // What the versions before held is stored again where the files still have it; what is nowhere is named.
  const verified = agent.run('verify', '--full');
  assert.notEqual(verified.status, 0);
  const again = agent.run('verify', '--full');
  assert.notEqual(again.status, 0);
  const named = again.stdout;
  assert.match(named, /small 1"/, named);
  assert.doesNotMatch(named, /small 5"|HOME large/);
});
