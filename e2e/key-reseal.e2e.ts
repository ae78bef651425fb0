import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RecordKind } from '@holdfast/archive';
import { storageRoutes } from '@holdfast/contract';
import { recover, RecoverError, type Secret } from '@holdfast/recover';
import { copyAfterHold, epochsInFolder } from './after-hold.ts';
import { startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { archiveFolder, hasty } from './escrowed-device.ts';
import { holdfast, holdfastJson } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { enrollDevice, newFolder, startRunningCloud } from './running-cloud.ts';
import { conflictsIn, scanArchiveFolder } from './stored-records.ts';

const [first, second] = ['the first password', 'the second password'];

/** A file that has more pieces than a row names, so that they are in a list. */
function inPieces(count: number): Buffer {
  return Buffer.concat([Buffer.from('SQLite format 3\0'), randomBytes(count * 64 * 1024 - 16)]);
}

/** What `recover` gives back: the bytes of the files by name, or the code of its error. */
async function givenBack(t: TestContext, folder: string, secret: Secret, at?: { readonly commit: number }) {
  const outDir = path.join(newFolder(t), 'out');
  try {
    const { counts, proven } = await recover({ folder, secret, outDir, ...(at && { at }) });
    const names = existsSync(outDir) ? readdirSync(outDir, { recursive: true, encoding: 'utf8' }) : [];
    const files = new Map<string, Buffer>();
    for (const name of names) {
      const file = path.join(outDir, name);
      if (statSync(file).isFile()) files.set(path.basename(name), readFileSync(file));
    }
    return { files, counts, proven };
  } catch (error) {
    if (error instanceof RecoverError) return { error: error.code };
    throw error;
  }
}

/** Bytes of all segments of a destination's folder. */
function segmentBytes(destination: string): number {
  return readdirSync(destination, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.seg'))
    .reduce((sum, name) => sum + statSync(path.join(destination, name)).size, 0);
}

function sameFiles(given: Awaited<ReturnType<typeof givenBack>>, wanted: ReadonlyMap<string, Buffer>): void {
  assert.ok('files' in given, JSON.stringify(given));
  assert.deepEqual([...given.files.keys()].toSorted(), [...wanted.keys()].toSorted());
  for (const [name, bytes] of wanted) assert.ok(bytes.equals(given.files.get(name)!), name);
}

test('before a reseal an old password opens the past, and nothing of it once destinations may remove the older records', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const device = await enrollDevice(t, tenant);
  const files = newFolder(t);
  const agent = await startAgentOf(t, device, { clock: hasty, files });
  const key = (...args: readonly string[]) => holdfastJson(agent.socketPath, ['key', ...args]);
  const set = (password: string) =>
    holdfastJson(agent.socketPath, ['key', 'set-password', '--with-escrow'], `${password}\n`);
  const write = (name: string, bytes: Buffer) => writeFileSync(path.join(files, name), bytes);
  const headOf = async () => ((await agent.ask('status')) as { archive: { head: number } }).archive.head;
  const backUp = async () => {
    await agent.ask('backup');
    const standings = async () => (await statusOf(agent)).standings;
    const isProtected = async () => (await standings()).every(({ state }) => state === 'protected');
    await until(isProtected, 'everything is protected', 60_000);
    return headOf();
  };
  const { archiveId } = (await agent.ask('key.list')) as unknown as { archiveId: string };
  const folder = archiveFolder(running, tenant, archiveId);
  const nas = newFolder(t);
  await agent.ask('destination.add', { folder: nas });
  const nasFolder = () =>
    path.join(
      nas,
      readdirSync(nas).find((name) => name.startsWith('holdfast-'))!,
    );
  const quota = async () => (await device.client.call(storageRoutes.list, {})).archives[0]!.storedBytes;

  assert.equal((await set(first)).status, 0);
  const past = new Map([
    ['changed', randomBytes(500_000)],
    ['gone', randomBytes(300_000)],
    ['long', inPieces(30)],
    ['small', Buffer.from('small')],
  ]);
  for (const [name, bytes] of past) write(name, bytes);
  const pastCommit = await backUp();
  write('changed', randomBytes(400_000));
  rmSync(path.join(files, 'gone'));
  await backUp();
  const quotaBefore = await quota();
  const nothing = await key('reseal', '--older-than', '7');
  assert.equal(nothing.value['error']!['code'], 'keys.no_such_epoch', nothing.text);
  assert.equal((await key('reseal', '--older-than', 'x')).value['error']!['code'], 'command.invalid');

  assert.equal((await set(second)).status, 0);
  write('new', randomBytes(100_000));
  const now = new Map([...past].filter(([name]) => name !== 'gone'));
  for (const name of ['changed', 'new']) now.set(name, readFileSync(path.join(files, name)));
  await backUp();
  sameFiles(await givenBack(t, folder, { password: first }, { commit: pastCommit }), past);

  const dry = await key('reseal', '--dry-run');
  assert.equal(dry.status, 0, dry.text);
  const planned = dry.value['planned']! as { dataBytes: number; lists: number };
  const pastBytes = [...past.values()].reduce((sum, { length }) => sum + length, 400_000);
  // The agent may have seen files half written, too: these are versions like any other.
  assert.ok(planned.dataBytes >= pastBytes && planned.lists >= 1, JSON.stringify(planned));
  assert.ok(
    !(await epochsInFolder(folder)).has(2) || (await quota()) < quotaBefore + 400_000,
    'a dry run stores nothing',
  );
  const { stdout: hint } = await holdfast(agent.socketPath, ['key', 'list']);
  assert.match(hint, /To close that to it: holdfast key reseal --dry-run/);

  const ran = await holdfast(agent.socketPath, ['key', 'reseal']);
  assert.equal(ran.status, 0, ran.stderr);
  assert.match(ran.stderr, /At most 3\.\d MiB are read from a destination, sealed again and uploaded/);
  assert.match(ran.stdout, /Live set 1 leaves the older records out/);
  const { stdout: listed } = await holdfast(agent.socketPath, ['key', 'list']);
  assert.match(listed, /What was written before epoch \d was sealed again on /);

  // Both copies are there, and the quota counts one.
  for (const each of [folder, nasFolder()]) assert.ok((await epochsInFolder(each)).size > 1, 'nothing is removed yet');
  await until(
    async () => (await quota()) < quotaBefore + 400_000,
    `${await quota()} of ${quotaBefore} bytes count`,
    30_000,
  );
  sameFiles(await givenBack(t, folder, { password: second }), now);
  sameFiles(await givenBack(t, folder, { password: first }, { commit: pastCommit }), past);

  const exported = path.join(newFolder(t), 'key file');
  assert.equal((await key('export', '--out', exported)).status, 0);
  const keyFile = { keyFile: readFileSync(exported, 'utf8') };
  // A destination that begins now gets nothing of the past as it was.
  const later = newFolder(t);
  await agent.ask('destination.add', { folder: later });
  const head = await backUp();
  const laterFolder = path.join(
    later,
    readdirSync(later).find((name) => name.startsWith('holdfast-'))!,
  );
  const kept: readonly string[] = [
    (await copyAfterHold(folder, newFolder(t))).folder,
    (await copyAfterHold(nasFolder(), newFolder(t))).folder,
    laterFolder,
  ];
  for (const each of kept) {
    assert.deepEqual(await epochsInFolder(each), new Set([2]), each);
    const byOld = await givenBack(t, each, { password: first });
    assert.ok('error' in byOld || byOld.files.size === 0, JSON.stringify(byOld));
    const secret = each === laterFolder ? { password: second } : keyFile;
    sameFiles(await givenBack(t, each, secret, { commit: head }), now);
    sameFiles(await givenBack(t, each, keyFile, { commit: pastCommit }), past);
  }
  const again = await key('reseal');
  assert.deepEqual([again.status, again.value['records']], [0, 0], again.text);
  const verified = await holdfastJson(agent.socketPath, ['verify', '--full']);
  assert.equal(verified.status, 0, verified.text);
});

test('an agent that is killed while the past is sealed again loses nothing, seals no ordinal twice, and goes on', async (t) => {
  const agent = new RunningAgentProcess(t);
  const contents = new Map<string, Buffer>();
  const write = (name: string, bytes: Buffer) => contents.set(name, bytes) && agent.write(name, bytes);
  for (let number = 0; number < 5; number++) write(`file ${number}`, randomBytes(3_000_000));
  write('long', inPieces(60));
  await agent.start();
  const folders = [agent.addDestination('one'), agent.addDestination('two')];
  assert.equal(agent.run('backup').status, 0);
  const before = agent.run('status').value['archive'] as { head: number };
  for (const name of ['older key', 'newer key'])
    assert.equal(agent.run('key', 'use-custom', '--generate', path.join(agent.folder, name)).status, 0);
  const newer = { customKey: readFileSync(path.join(agent.folder, 'newer key'), 'utf8') };
  assert.equal(agent.run('backup').status, 0);

  for (const grownBytes of [100_000, 4_000_000, 9_000_000]) {
    const bytes = segmentBytes(folders[0]!);
    let hasEnded = false;
    const asked = holdfastJson(agent.socketPath, ['key', 'reseal']).catch(() => undefined);
    void asked.then(() => (hasEnded = true));
    const hasGrown = () => segmentBytes(folders[0]!) >= bytes + grownBytes;
    await until(() => hasGrown() || hasEnded, 'the past is under way', 60_000);
    const when = hasEnded ? 'behind its end' : 'under way';
    t.diagnostic(`killed after ${segmentBytes(folders[0]!) - bytes} bytes, ${when}`);
    await agent.kill();
    await asked;
    await agent.start();
  }
  write('meanwhile', randomBytes(200_000));
  assert.equal(agent.run('backup').status, 0);
  const done = agent.run('key', 'reseal');
  assert.equal(done.status, 0, done.stderr);
  assert.deepEqual(done.value['left'], { dataRecords: 0, dataBytes: 0, lists: 0, nodes: 0 });
  assert.equal(agent.run('verify', '--full').status, 0);
  const head = (agent.run('status').value['archive'] as { head: number }).head;
  await agent.kill('SIGTERM');
  for (const destination of folders) {
    const folder = path.join(
      destination,
      readdirSync(destination).find((name) => name.startsWith('holdfast-'))!,
    );
    const records = await scanArchiveFolder(folder);
    assert.deepEqual(conflictsIn(records), { ordinals: [], nonces: [] });
    const after = await copyAfterHold(folder, newFolder(t));
    assert.ok(after.gone > 0);
    assert.deepEqual(await epochsInFolder(after.folder), new Set([2]));
    sameFiles(await givenBack(t, after.folder, newer, { commit: head }), contents);
    const past = new Map([...contents].filter(([name]) => name !== 'meanwhile'));
    sameFiles(await givenBack(t, after.folder, newer, { commit: before.head }), past);
    const lives = [...records.values()].flat().filter(({ kind }) => kind === RecordKind.live);
    t.diagnostic(`${records.size} records, ${after.gone} of them let go, ${lives.length} live records`);
  }
});
