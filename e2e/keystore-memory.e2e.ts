import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withPerson } from '@holdfast/agent/releases';
import { deriveKeyRing, openRecordSync, parseKeyring, parseRing, RecordKind, splitRecord } from '@holdfast/archive';
import { folderSource } from '@holdfast/archive/testing';
import { openTenantEscrow, readHeldKeys } from '@holdfast/cloud/testing';
import {
  escrowSlotKind,
  importHpkeKey,
  openEscrowInner,
  openEscrowOuter,
  openRelease,
  openSlotWithKey,
  parseKeyFile,
} from '@holdfast/trust';
import { startAgentOf } from './agent-of-device.ts';
import { hasty } from './escrowed-device.ts';
import type { Needle } from './marker-forms.ts';
import { processesOf, type MemorySample } from './memory-sampler.ts';
import { formsOfSecret, NeedleSearch, searchMemory } from './memory-search.ts';
import { MemoryWatch } from './memory-watch.ts';
import { until } from './process-tree.ts';
import { done, makePerson, type Person } from './release-people.ts';
import { enrollDevice, newFolder } from './running-cloud.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

const RELEASES = 20;
/** How long the keystore may hold a key of an archive. */
const HELD_MS = 1_000;

type Secrets = ReadonlyMap<string, Uint8Array>;

/** A server with an archive of two epochs in escrow, somebody who asks for its keys, and somebody who approves. */
async function makeScene(t: TestContext, server: ServerProcess) {
  const { homeDir } = server;
  const place = { homeDir, folder: newFolder(t) };
  const anna = await makePerson(place, { tenant: 'home', name: 'anna', approver: true });
  const ben = await makePerson(place, { tenant: 'home', name: 'ben' });
  await done(homeDir, ['key', 'person', 'vouch', anna.keyFile, '--public-key', ben.publicKey, '--user', ben.userUid]);
  const device = await enrollDevice(t, { invite: () => server.invite() });
  const { tenantUid } = device.enrollment;
  const { ask, files } = await startAgentOf(t, device, { clock: hasty });
  writeFileSync(path.join(files, 'file'), 'of the first epoch');
  const { archiveId } = (await ask('key.list')) as { readonly archiveId: string };
  const folder = path.join(homeDir, 'blobs', tenantUid, archiveId);
  const secretsNow = () => secretsOf({ homeDir, tenantUid, folder }).catch(() => new Map<string, Uint8Array>());
  await until(async () => (await secretsNow()).size > 0, 'an escrow slot at the server', 60_000);
  // The second code strikes the first: an epoch begins.
  for (let codes = 0; codes < 2; codes += 1) {
    const { code } = (await ask('key.show-recovery')) as { readonly code: string };
    await ask('key.confirm-recovery', { code });
  }
  await ask('backup');
  await until(async () => (await secretsNow()).has('epoch 1'), 'the second epoch at the server', 60_000);
  const secrets = await secretsNow();
  // They are those that the computer has.
  const { keyFile } = (await ask('key.export')) as { readonly keyFile: string };
  const { epochs } = parseKeyFile(keyFile);
  assert.deepEqual(
    epochs.map(({ epoch, key }) => `${epoch} ${key.toHex()}`),
    [0, 1].map((epoch) => `${epoch} ${secrets.get(`epoch ${epoch}`)!.toHex()}`),
  );
  return { secrets, tenantUid, people: { anna, ben } };
}

/** Every secret on the way to what is stored, by a name, as whoever has the whole machine opens them. */
async function secretsOf(of: { homeDir: string; tenantUid: string; folder: string }): Promise<Secrets> {
  const { logKey, keystoreKey } = await openTenantEscrow(of.homeDir, of.tenantUid);
  const archiveId = Uint8Array.fromHex(path.basename(of.folder));
  const secrets = new Map<string, Uint8Array>();
  secrets.set('keystore key of the tenant', keystoreKey.privateKey.export({ format: 'raw-private' }));
  const source = await folderSource(of.folder, path.basename(of.folder));
  try {
    for await (const ordinal of source.ordinalsOf(RecordKind.keyring)) {
      const record = (await source.read(ordinal))!;
      const { number, slots } = parseKeyring(splitRecord(record).open);
      const slot = slots.find(({ kind }) => kind === escrowSlotKind);
      if (!slot) continue;
      const slotKey = openEscrowInner(slot, archiveId, openEscrowOuter(slot, archiveId, logKey), keystoreKey);
      const ringKey = openSlotWithKey(slot, { archiveId, keyringNumber: number }, slotKey)!;
      const { epochs } = parseRing(openRecordSync(record, { archiveId, ring: new Map(), ringKey }).raw);
      secrets.set(`slot key of keyring ${number}`, slotKey).set(`ring key of keyring ${number}`, ringKey);
      for (const { number: epoch, key } of epochs) secrets.set(`epoch ${epoch}`, key);
      for (const [epoch, { data, metadata }] of deriveKeyRing(archiveId, epochs))
        secrets.set(`data key ${epoch}`, data).set(`metadata key ${epoch}`, metadata);
    }
  } finally {
    await source.close();
  }
  return secrets.size > 1 ? secrets : new Map();
}

/** One release from the request to its keys: of the whole ring, or of what reads. */
async function release(
  { anna, ben }: { readonly anna: Person; readonly ben: Person },
  { scope, secrets }: { readonly scope: 'read' | 'ring'; readonly secrets: Secrets },
): Promise<void> {
  const wanted = {
    archive: 'laptop',
    reason: 'the disk is gone',
    caseId: null,
    days: 1,
    epochs: 'all',
  } as const;
  const newComputer = importHpkeKey(crypto.getRandomValues(new Uint8Array(32)));
  const ringFor = scope === 'ring' ? Buffer.from(newComputer.publicKey).toString('base64url') : undefined;
  const asked = await withPerson(ben.keyFile, {}, (client) => client.request({ ...wanted, ringFor }));
  assert.equal(asked.state, 'asked');
  const approved = await withPerson(anna.keyFile, {}, async (client) => {
    const [shown] = await client.list(asked.requestSha256);
    return client.approve(shown!);
  });
  assert.equal(approved.state, 'granted');
  const { keys, wipe } = await withPerson(ben.keyFile, {}, async (client) => {
    if (scope === 'read') return client.take(asked.requestSha256);
    const { leaf, sealed } = await client.takeSealedRing(asked.requestSha256);
    const received = { requestText: asked.request, leafText: leaf.text, sealed: Buffer.from(sealed, 'base64url') };
    return openRelease(received, newComputer);
  });
  const [epoch] = keys.scope === 'ring' ? parseRing(keys.ring).epochs : [];
  if (epoch) assert.equal(epoch.key.toHex(), secrets.get(`epoch ${epoch.number}`)!.toHex());
  if (keys.scope === 'read')
    for (const { epoch: number, data, metadata } of keys.epochs) {
      assert.equal(data.toHex(), secrets.get(`data key ${number}`)!.toHex());
      assert.equal(metadata.toHex(), secrets.get(`metadata key ${number}`)!.toHex());
    }
  assert.equal(keys.scope, scope);
  wipe();
}

/** What shows that a look into a process would have found what is there. */
const heldByServer = 'what the server holds';
const heldByKeystore = 'what the keystore holds';
const saidToDatabase = 'what the database is told';

async function controlNeedles(homeDir: string, tenantUid: string): Promise<readonly Needle[]> {
  const { ofServer, ofKeystore } = await readHeldKeys(homeDir);
  return [
    { name: heldByServer, bytes: ofServer },
    { name: heldByKeystore, bytes: ofKeystore },
    { name: saidToDatabase, bytes: Buffer.from(tenantUid) },
  ];
}

const isSecret = (name: string) => ![heldByServer, heldByKeystore, saidToDatabase].includes(name);

/** A process that holds all of it carelessly is found out in all forms; the same one that was told nothing of it is not. */
async function tryCarelessProcess(secrets: Secrets, needles: readonly Needle[]): Promise<void> {
  const search = new NeedleSearch(needles);
  for (const [told, wanted] of [
    [[...secrets.values()], needles.filter(({ name }) => isSecret(name)).map(({ name }) => name)],
    [[crypto.getRandomValues(new Uint8Array(32))], []],
  ] as const) {
    const program = path.join(import.meta.dirname, 'memory-holder.ts');
    const holder = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      holder.stdin.write(`${JSON.stringify(told.map((secret) => secret.toHex()))}\n`);
      await once(holder.stdout, 'data');
      assert.deepEqual(searchMemory(holder.pid!, search)?.found.toSorted(), [...wanted].toSorted());
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
  }
}

/** Why nobody but a parent may look into some of these processes; undefined where a process of its own may. */
function refusalToRead(pids: readonly number[]): string | undefined {
  const script = `
    const fs = require('node:fs');
    for (const pid of process.argv.slice(1))
      try {
        fs.closeSync(fs.openSync('/proc/' + pid + '/mem', 'r'));
      } catch ({ code }) {
        // Others have ended meanwhile.
        if (code === 'EACCES' || code === 'EPERM') process.stdout.write(code + ' ');
      }`;
  const { stdout } = spawnSync(process.execPath, ['-e', script, ...pids.map(String)], { encoding: 'utf8' });
  return stdout.split(' ')[0] || undefined;
}

type Window = { readonly fromMs: number; readonly toMs: number };

/** Every look at the cloud, and how many fell into each release. */
function judgeCloud({ samples }: MemoryWatch, windows: readonly Window[]): readonly number[] {
  const found = samples.flatMap(({ processes }) =>
    processes.flatMap(({ command, found: names }) => names.filter(isSecret).map((name) => `${command}: ${name}`)),
  );
  assert.deepEqual([...new Set(found)], []);
  for (const { processes } of samples) {
    assert.ok(
      processes.some(({ found: names }) => names.includes(heldByServer)),
      'the server was looked into',
    );
    assert.ok(
      processes.some(({ found: names }) => names.includes(saidToDatabase)),
      'the database was looked into',
    );
  }
  return windows.map(({ fromMs, toMs }) => {
    const within = samples.filter(({ beganAtMs, endedAtMs }) => beganAtMs >= fromMs && endedAtMs <= toMs);
    return within.length;
  });
}

/** Waits until the keystore holds nothing of an archive: after how long that was seen, and what a look still found that began too late for it. */
async function awaitForgotten(
  watch: MemoryWatch,
  sinceMs: number,
): Promise<{ afterMs: number; held: readonly string[] }> {
  for (;;) {
    const { beganAtMs, processes } = await watch.nextSample();
    const held = processes.flatMap(({ found }) => found.filter(isSecret));
    const afterMs = beganAtMs - sinceMs;
    if (held.length === 0 || afterMs >= HELD_MS) return { afterMs, held };
  }
}

/** What the looks at the keystore show: keys were there while they were released, and none a second later. */
function judgeKeystore({ samples }: MemoryWatch, after: readonly Awaited<ReturnType<typeof awaitForgotten>>[]): string {
  assert.deepEqual([...new Set(after.flatMap(({ held }) => held))], []);
  const namesIn = ({ processes }: MemorySample) => processes.flatMap(({ found }) => found);
  for (const sample of samples) assert.ok(namesIn(sample).includes(heldByKeystore), 'the keystore was looked into');
  const caught = samples.filter((sample) => namesIn(sample).some(isSecret));
  assert.ok(caught.length > 0, 'a key was seen where it is opened');
  const kinds = new Set(
    caught.flatMap((sample) =>
      namesIn(sample)
        .filter(isSecret)
        .map((name) => name.split(',')[0]),
    ),
  );
  const afterMs = after.map((one) => one.afterMs);
  return `${caught.length} of ${samples.length} looks at the keystore found one (${[...kinds].join(', ')}); none was seen ${Math.min(...afterMs)} to ${Math.max(...afterMs)} ms after a release`;
}

test(
  'during twenty releases no process of the cloud but the keystore holds a key of the archive, and that none a second later',
  { skip: process.platform !== 'linux' && 'needs Linux: memory is read through /proc', timeout: 280_000 },
  async (t) => {
    const server = await startServerProcess(t);
    const pidsOf = (of: 'keystore' | 'all but the keystore') =>
      processesOf({ rootPid: server.pid, of }).map(({ pid }) => pid);
    const why = refusalToRead(pidsOf('all but the keystore'));
    if (why !== undefined)
      return t.skip(`needs root, or a system that lets a user look into its own processes: ${why}`);
    const isKeystoreRead = refusalToRead(pidsOf('keystore')) === undefined;
    assert.ok(!isKeystoreRead || process.getuid?.() === 0, 'nobody but root looks into the keystore');
    const { secrets, tenantUid, people } = await makeScene(t, server);
    const ofSecrets = [...secrets].flatMap(([name, secret]) => formsOfSecret(name, secret));
    const needles = [...ofSecrets, ...(await controlNeedles(server.homeDir, tenantUid))];
    await tryCarelessProcess(secrets, needles);

    const { pid: rootPid } = server;
    const cloud = await MemoryWatch.start(t, { rootPid, of: 'all but the keystore', runMs: 30 }, needles);
    const inKeystore = isKeystoreRead && (await MemoryWatch.start(t, { rootPid, of: 'keystore', runMs: 20 }, needles));
    const windows: Window[] = [];
    const forgotten: Awaited<ReturnType<typeof awaitForgotten>>[] = [];
    for (let count = 0; count < RELEASES; count += 1) {
      const fromMs = Date.now();
      await release(people, { scope: count % 4 === 3 ? 'ring' : 'read', secrets });
      const toMs = Date.now();
      windows.push({ fromMs, toMs });
      if (inKeystore) forgotten.push(await awaitForgotten(inKeystore, toMs));
    }
    await cloud.nextSample();
    await cloud.stop();
    const looks = judgeCloud(cloud, windows);
    assert.ok(Math.min(...looks) >= 2, `looks during each release: ${looks.join(' ')}`);
    const pids = new Set(cloud.samples.flatMap(({ processes }) => processes.map(({ pid }) => pid)));
    t.diagnostic(
      `${secrets.size} secrets in ${ofSecrets.length} forms; ${cloud.samples.length} looks at ${pids.size} processes, ${Math.min(...looks)} to ${Math.max(...looks)} during each release`,
    );
    if (!inKeystore) return t.diagnostic('the keystore was not looked into: needs root');
    await sleep(HELD_MS);
    forgotten.push(await awaitForgotten(inKeystore, Date.now() - HELD_MS));
    await inKeystore.stop();
    return t.diagnostic(judgeKeystore(inKeystore, forgotten));
  },
);
