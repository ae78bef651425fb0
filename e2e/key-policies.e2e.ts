import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { storageRoutes } from '@holdfast/contract';
import { systemClock, systemRandom } from '@holdfast/base';
import {
  createPasswordOpener,
  openCustomKeySlot,
  openSlot,
  parseRecoveryCode,
  prepareCustomKeySlot,
} from '@holdfast/trust';
import { askAgent } from '@holdfast/agent';
import { CloudDestination } from '@holdfast/agent/cloud';
import { KeyStore, withChangedSlots } from '@holdfast/agent/keys/testing';
import { type AgentOfDevice, startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import {
  archiveFolder,
  askEscrow,
  epochsOpened,
  hasty,
  headOpened,
  openerOfEscrow,
  type OpenRing,
} from './escrowed-device.ts';
import { holdfast, holdfastJson, recovered } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { enrollDevice, newFolder, startRunningCloud } from './running-cloud.ts';

type KeyList = {
  readonly archiveId: string;
  readonly choice: string;
  readonly escrow: { readonly state: string };
  readonly keyring: number;
  readonly slots: readonly { readonly kind: string; readonly isCurrent: boolean; readonly newestEpoch: number }[];
};

/** A server, a tenant that asks for escrow so, and an enrolled agent that protects some files. */
async function startScene(t: TestContext, setting: 'always' | 'required' | 'off' = 'required') {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const byEscrow = await openerOfEscrow(running, tenant);
  await askEscrow(tenant, setting);
  const device = await enrollDevice(t, tenant);
  const files = newFolder(t);
  const start = () => startAgentOf(t, device, { clock: hasty, files });
  const agent = await start();
  const key = (...args: readonly string[]) => holdfastJson(agent.socketPath, ['key', ...args]);
  const keysOf = async ({ ask }: Pick<AgentOfDevice, 'ask'>) => (await ask('key.list')) as unknown as KeyList;
  const keys = () => keysOf(agent);
  const { archiveId } = await keys();
  const folder = archiveFolder(running, tenant, archiveId);
  const untilProtected = async () => {
    const standings = async () => (await statusOf(agent)).standings;
    const isProtected = async () => (await standings()).every(({ state }) => state === 'protected');
    await until(isProtected, `everything is protected, and not ${JSON.stringify(await standings())}`, 60_000);
  };
  const untilEscrow = (wanted: string) =>
    until(async () => (await keys()).escrow.state === wanted, `escrow is ${wanted}`, 60_000);
  const storedBytes = async () => (await device.client.call(storageRoutes.list, {})).archives[0]!.storedBytes;
  return {
    byEscrow,
    running,
    tenant,
    device,
    files,
    agent,
    key,
    keys,
    keysOf,
    folder,
    untilProtected,
    untilEscrow,
    storedBytes,
    start,
  };
}
type Scene = Awaited<ReturnType<typeof startScene>>;

async function backUp({ agent, untilProtected }: Scene): Promise<number> {
  await agent.ask('backup');
  await untilProtected();
  return ((await agent.ask('status')) as unknown as { archive: { head: number } }).archive.head;
}

/** Keeps a recovery code by the command line, as a person does. */
async function keepCode({ agent }: Scene): Promise<string> {
  const { code } = (await agent.ask('key.show-recovery')) as unknown as { code: string };
  await agent.ask('key.confirm-recovery', { code });
  return code;
}

const currentKinds = ({ slots }: KeyList) => slots.flatMap(({ kind, isCurrent }) => (isCurrent ? [kind] : []));
const byCode = (code: string): OpenRing => {
  const secret = parseRecoveryCode(code);
  return (slot, place) => openSlot(slot, place, secret);
};

test('an archive has escrow from its first keyring on where its org asks for it, and none where it does not', async (t) => {
  const asked = await startScene(t, 'required');
  assert.equal((await asked.keys()).escrow.state, 'in_place');
  assert.deepEqual(currentKinds(await asked.keys()), ['escrow']);
  writeFileSync(path.join(asked.files, 'one'), 'content');
  await backUp(asked);
  assert.deepEqual([...(await epochsOpened(asked.folder, asked.byEscrow))], [[1, [0]]]);
  const off = await startScene(t, 'off');
  assert.deepEqual(currentKinds(await off.keys()), []);
  await backUp(off);
  assert.equal((await off.keys()).escrow.state, 'off');
  assert.equal((await off.keys()).keyring, 1);
});

test('an old password opens the past and nothing new, and changing it uploads nothing again', async (t) => {
  const scene = await startScene(t);
  const { byEscrow, files, agent, folder, keys, storedBytes } = scene;
  const [first, second] = ['the first password', 'the second password'];
  for (const name of ['a', 'b']) writeFileSync(path.join(files, name), randomBytes(3_000_000));
  await backUp(scene);
  const bytesBefore = await storedBytes();
  assert.ok(bytesBefore > 6_000_000);
  const set = (password: string, ...args: readonly string[]) =>
    holdfastJson(agent.socketPath, ['key', 'set-password', ...args], `${password}\n`);
  const dry = await set(first, '--dry-run');
  assert.equal(dry.status, 0, dry.text);
  assert.equal((await keys()).keyring, 1, 'a dry run changes nothing');
  assert.equal((await set('too short')).value['error']!['code'], 'archive_password.too_short');
  const changed = await set(first);
  assert.equal(changed.status, 0, changed.text);
  assert.ok(!changed.text.includes(first));
  assert.deepEqual(currentKinds(await keys()), ['password']);
  const headOfPast = await backUp(scene);
  writeFileSync(path.join(files, 'between'), 'between');
  const headBetween = await backUp(scene);
  assert.ok(headBetween > headOfPast);
  const again = await set(second);
  assert.equal(again.status, 0, again.text);
  const { opensUntilCommit } = again.value as unknown as { opensUntilCommit: number };
  assert.equal(opensUntilCommit, headBetween);
  await backUp(scene);
  const added = (await storedBytes()) - bytesBefore;
  t.diagnostic(`two changes of the password and a small file: ${added} of ${bytesBefore} bytes`);
  assert.ok(added < 60_000, `${added} bytes`);
  writeFileSync(path.join(files, 'new'), 'new');
  const headNow = await backUp(scene);

  const past = await recovered(t, scene, ['--password'], first);
  assert.deepEqual(past.names, ['a', 'b', 'between'], past.text);
  const all = await recovered(t, scene, ['--password'], second);
  assert.deepEqual(all.names, ['a', 'b', 'between', 'new'], all.text);
  const none = await recovered(t, scene, ['--password'], 'another password');
  assert.deepEqual([none.status === 0, none.names], [false, []]);
  // The keyring of the first password, named: what was committed after it is said to be out of reach.
  const keyring = createHash('sha256')
    .update(readFileSync(path.join(folder, 'keys', 'keyring-2.1')))
    .digest('hex');
  const told = await recovered(t, scene, ['--password', '--keyring', keyring.slice(0, 12)], first);
  assert.deepEqual([told.status, told.names], [9, ['a', 'b', 'between']], told.text);
  assert.ok(told.text.includes('"keyringNumber":2'), told.text);
  const strange = await recovered(t, scene, ['--password', '--keyring', '0'.repeat(64)], first);
  assert.deepEqual([strange.status, strange.names], [5, []], strange.text);
  const heads = await Promise.all(
    [first, second].map((password) => headOpened(folder, createPasswordOpener(password).open)),
  );
  assert.deepEqual(heads, [headBetween, headNow]);
  assert.deepEqual(
    [...(await epochsOpened(folder, byEscrow))],
    [
      [1, [0]],
      [2, []],
      [3, []],
    ],
  );
  const list = await keys();
  assert.deepEqual(
    list.slots.map(({ kind, isCurrent, newestEpoch }) => [kind, isCurrent, newestEpoch]),
    [
      ['escrow', false, 0],
      ['password', false, 1],
      ['password', true, 2],
    ],
  );
});

test('a custom key is made in a new file of its own, opens the archive, and no setting of the server takes its place', async (t) => {
  const scene = await startScene(t);
  const { tenant, key, keys, files, folder, untilEscrow, agent } = scene;
  writeFileSync(path.join(files, 'one'), 'one');
  await backUp(scene);
  const file = path.join(newFolder(t), 'key file');
  assert.equal((await key('use-custom')).value['error']!['code'], 'command.invalid');
  const dry = await key('use-custom', '--generate', file, '--dry-run');
  assert.deepEqual([dry.status, existsSync(file)], [0, false]);
  const made = await key('use-custom', '--generate', file);
  assert.equal(made.status, 0, made.text);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(!made.text.includes(readFileSync(file, 'utf8').trim()));
  const kept = readFileSync(file, 'utf8');
  assert.equal((await key('use-custom', '--generate', file)).value['error']!['code'], 'custom_key_file.exists');
  assert.equal(readFileSync(file, 'utf8'), kept);
  await untilEscrow('kept_off');
  const { stdout: shown } = await holdfast(agent.socketPath, ['status']);
  assert.match(shown, /^escrow {2}the organisation asks for escrow, and is kept out/m);
  writeFileSync(path.join(files, 'two'), 'two');
  const head = await backUp(scene);
  assert.deepEqual((await recovered(t, scene, ['--custom-key', file])).names, ['one', 'two']);
  const secret = Uint8Array.fromHex(kept.trim());
  assert.equal(await headOpened(folder, (slot, place) => openCustomKeySlot(slot, place, secret)), head);

  // The org asks for escrow whatever the user chose: the agent keeps it off, and the server takes no keyring without.
  await askEscrow(tenant, 'always');
  const remedy = async () => ((await keys()).escrow as { remedy?: string }).remedy;
  await until(async () => (await remedy()) !== undefined, 'the user reads that the organisation asks for more', 60_000);
  assert.deepEqual(currentKinds(await keys()), ['custom_key']);
  // A key that leaked can be replaced all the same; the server takes no keyring with the new one.
  const second = path.join(newFolder(t), 'second key');
  const replaced = await key('use-custom', '--generate', second);
  assert.deepEqual([replaced.status, replaced.value['isDemanded']], [0, true], replaced.text);
  const last = (await keys()).slots.at(-1)!;
  assert.deepEqual([last.kind, last.isCurrent], ['custom_key', true]);
  await keepCode(scene);
  const failed = async () => (await statusOf(agent)).standings.find(({ state }) => state === 'failed');
  await until(async () => (await failed()) !== undefined, 'the server refuses the keyring', 60_000);
  const { reason, remedy: what } = (await failed())!;
  assert.match(reason, /no slot for the keys of its organisation/);
  assert.match(what!, /use-standard/);
  writeFileSync(path.join(files, 'three'), 'three');
  const standard = await key('use-standard');
  assert.equal(standard.status, 0, standard.text);
  assert.deepEqual(currentKinds(await keys()).toSorted(), ['escrow', 'recovery_code']);
  await backUp(scene);
  const epochs = await epochsOpened(folder, scene.byEscrow);
  assert.deepEqual(epochs.get((await keys()).keyring), [0, 1, 2, 3]);
  assert.deepEqual(
    (await recovered(t, scene, ['--custom-key', file])).names,
    ['one', 'two'],
    'what was refused lost nothing',
  );
});

test('escrow that nobody asks for any more stays until something else opens the archive, and comes back when it is asked for', async (t) => {
  const scene = await startScene(t);
  const { byEscrow, tenant, files, folder, keys, untilEscrow } = scene;
  writeFileSync(path.join(files, 'one'), 'one');
  await backUp(scene);
  await askEscrow(tenant, 'off');
  await untilEscrow('kept');
  assert.equal((await keys()).keyring, 1);
  const code = await keepCode(scene);
  await untilEscrow('off');
  assert.deepEqual(currentKinds(await keys()), ['recovery_code']);
  writeFileSync(path.join(files, 'two'), 'two');
  await backUp(scene);
  assert.deepEqual(
    [...(await epochsOpened(folder, byEscrow))],
    [
      [1, [0]],
      [2, [0]],
      [3, []],
    ],
  );
  assert.deepEqual((await epochsOpened(folder, byCode(code))).get(3), [0, 1]);
  await askEscrow(tenant, 'required');
  await untilEscrow('in_place');
  await backUp(scene);
  assert.deepEqual((await epochsOpened(folder, byEscrow)).get((await keys()).keyring), [0, 1]);
});

test('who stole the keys adds a keyring and takes nothing away: owner and escrow open all there is, and the computer says it', async (t) => {
  const scene = await startScene(t);
  const { byEscrow, device, agent, files, folder, start } = scene;
  writeFileSync(path.join(files, 'before'), 'before');
  const code = await keepCode(scene);
  await backUp(scene);
  const stolen = new KeyStore(path.join(device.stateDir, 'keys.json')).load()!;
  await agent.agent.stop();

  const known = { archiveId: stolen.keys.archiveId, known: undefined, keyRecords: stolen.keyRecords };
  const own = prepareCustomKeySlot(known.archiveId, randomBytes(32), systemRandom);
  const ports = { clock: systemClock, random: systemRandom };
  const thief = await CloudDestination.open(device.client, known);
  const highest = (await thief.highestSequence(0))!;
  const next = (isStruck: Parameters<typeof withChangedSlots>[1]['isStruck'], place: number) =>
    withChangedSlots(stolen, { isStruck, added: [own], beginsEpoch: true }, { ...ports, ordinal: highest + place });
  const alone = next(() => true, 1);
  await thief.append(alone.keyRecords.at(-1)!);
  const other = await CloudDestination.open(device.client, known);
  // Another keyring of a number that is taken, and the first one in other bytes.
  for (const record of [next(() => false, 2).keyRecords.at(-1)!, flipped(stolen.keyRecords[1]!)]) {
    await assert.rejects(other.append(record));
  }
  const openAll = async () => ({
    owner: await epochsOpened(folder, byCode(code)),
    escrow: await epochsOpened(folder, byEscrow),
  });
  const newest = stolen.keys.keyring.number;
  const epochs = stolen.keys.ring.epochs.map(({ number }) => number);
  const after = await openAll();
  for (const opened of [after.owner, after.escrow]) {
    assert.equal(opened.size, newest + 1, 'every keyring is still there');
    assert.deepEqual(opened.get(newest), epochs);
    assert.deepEqual(opened.get(newest + 1), []);
  }

  // The computer does not go on behind a keyring with a key that it has not: it says that somebody else wrote there.
  const again = await start();
  writeFileSync(path.join(files, 'after'), 'after');
  await assert.rejects(again.ask('backup'), { code: 'protection.no_destination' });
  const [standing] = (await statusOf(again)).standings;
  assert.equal(standing?.state, 'failed');
  assert.match(standing.reason, /a newer keyring/);
  assert.match(standing.remedy ?? '', /enrol it as a new device/);
  const rescued = await recovered(t, scene, [], code);
  assert.deepEqual(rescued.names, ['before'], rescued.text);
});

test('an agent that is killed while an own key is set goes on with the keyring before or the next one', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('one', 'one');
  await agent.start();
  const destination = agent.addDestination();
  const { code } = (await askAgent(agent.socketPath, { request: 'key.show-recovery' })) as { code: string };
  await askAgent(agent.socketPath, { request: 'key.confirm-recovery', code });
  assert.equal(agent.run('backup').status, 0);
  const numbers: number[] = [];
  // While the key file is written, when it has its name, and while its keyring is on its way.
  const moments = [
    { name: 'keys.json.new', ms: 0 },
    { name: 'keys.json', ms: 0 },
    { name: 'keys.json', ms: 20 },
  ];
  for (const [round, { name, ms }] of moments.entries()) {
    const file = path.join(agent.folder, `key ${round}`);
    writeFileSync(file, randomBytes(32).toString('hex'));
    const moment = whenTouched(agent.stateDir, name);
    const asked = holdfastJson(agent.socketPath, ['key', 'use-custom', file]).catch(() => undefined);
    await moment;
    await sleep(ms);
    await agent.kill();
    await asked;
    await agent.start();
    const list = (await askAgent(agent.socketPath, { request: 'key.list' })) as unknown as KeyList;
    numbers.push(list.keyring);
    agent.write(`file ${round}`, `content ${round}`);
    assert.equal(agent.run('backup').status, 0);
    const segments = readdirSync(destination, { recursive: true, encoding: 'utf8' }).find(
      (name) => path.basename(name) === 'segments',
    );
    const folder = path.join(destination, path.dirname(segments!));
    const opened = await epochsOpened(folder, byCode(code), list.archiveId);
    const { ring } = new KeyStore(path.join(agent.stateDir, 'keys.json')).load()!.keys;
    assert.deepEqual(
      opened.get(list.keyring),
      ring.epochs.map((epoch) => epoch.number),
      'all epochs there are',
    );
    assert.equal(opened.size, list.keyring, 'every keyring is there');
  }
  t.diagnostic(`keyrings after each kill: ${numbers.join(', ')}`);
  const back = await recovered(t, { folder: destination }, [], code);
  assert.deepEqual(back.names, ['file 0', 'file 1', 'file 2', 'one'], back.text);
});

/** Resolves when something happens to a file of this name. */
function whenTouched(folder: string, name: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(folder, (_event, touched) => {
      if (touched !== name) return;
      watcher.close();
      resolve();
    });
  });
}

function flipped(record: Uint8Array): Uint8Array {
  const other = Uint8Array.from(record);
  other[other.length - 80]! ^= 1;
  return other;
}
