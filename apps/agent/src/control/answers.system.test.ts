import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { folderPlace } from '../destinations/folder-place.ts';
import { AgentDatabase } from '../state/agent-database.ts';
import { TestAgent } from '../testing.ts';

type Fields = Readonly<Record<string, unknown>>;

function newAgent(t: TestContext, ...more: ConstructorParameters<typeof TestAgent>): TestAgent {
  const agent = new TestAgent(...more);
  t.after(() => agent.remove());
  return agent;
}

/** An agent whose tree is stored in a folder. */
async function protectedAgent(t: TestContext, files: Readonly<Record<string, string>>): Promise<TestAgent> {
  const agent = newAgent(t);
  for (const [name, content] of Object.entries(files)) agent.write(name, content);
  await agent.start();
  await agent.addDestination();
  await agent.ask('backup');
  return agent;
}

async function refusalOf(asked: Promise<unknown>): Promise<CodedError> {
  const answer = await asked.then(
    () => 'it was answered',
    (error: unknown) => error,
  );
  assert.ok(answer instanceof CodedError, String(answer));
  return answer;
}

test('a backup without a backup set is refused at once, and says what to do', { timeout: 60_000 }, async (t) => {
  const agent = await protectedAgent(t, { file: '1' });
  await agent.ask('set.remove', { name: 'home' });
  const refused = await refusalOf(agent.ask('backup'));
  assert.deepEqual([refused.code, refused.kind], ['sets.none', 'not_found']);
  assert.match(String(refused.details['remedy']), /holdfast set add/);
  await agent.ask('set.add', { set: { name: 'again', includes: [agent.tree] } });
  assert.ok((await agent.ask('backup'))['files']);
});

test('verify names each destination that it did not check, and why', { timeout: 60_000 }, async (t) => {
  const agent = newAgent(t);
  agent.write('file', '1');
  await agent.start();
  const first = await agent.addDestination('first');
  const second = await agent.addDestination('second');
  await agent.untilProtected();
  const whole = await agent.ask('verify');
  assert.deepEqual([(whole['destinations'] as Fields[]).length, whole['notChecked']], [2, []]);
  await agent.stop();
  renameSync(second, `${second} away`);
  await agent.start();
  const partly = await agent.ask('verify');
  assert.deepEqual(
    (partly['destinations'] as Fields[]).map(({ destination }) => destination),
    [first],
  );
  const [skipped, ...others] = partly['notChecked'] as Fields[];
  assert.deepEqual([skipped!['destination'], skipped!['status'], others], [second, 'away', []]);
  for (const field of ['reason', 'remedy']) assert.notEqual(skipped![field] ?? '', '');
});

test('what verify finds damaged is named by its path and record, without --full what is missing alone', async (t) => {
  const agent = newAgent(t);
  agent.write('deep/file', randomBytes(400_000));
  agent.write('other', 'y');
  await agent.start();
  await agent.addDestination();
  await agent.ask('backup');
  const [listed] = (await agent.ask('destination.list'))['destinations'] as { archiveFolder: string }[];
  const folder = path.join(listed!.archiveFolder, 'segments');
  const segment = readdirSync(folder)
    .map((name) => path.join(folder, name))
    .find((file) => statSync(file).size > 400_000)!;
  const handle = await open(segment, 'r+');
  await handle.write(Buffer.alloc(100_000), 0, 100_000, 150_000);
  await handle.close();
  const { destinations } = await agent.ask('verify', { full: true });
  const [{ damaged, damagedCount }] = destinations as [{ damaged: readonly Fields[]; damagedCount: number }];
  assert.ok(damagedCount > 0 && damagedCount === damaged.length, String(damagedCount));
  for (const { path: damagedPath, ordinal, problem } of damaged) {
    assert.equal(damagedPath, path.join(agent.tree, 'deep/file'));
    assert.ok(Number(ordinal) >= 0 && problem !== '');
  }
});

test('a destination that verify finds behind, though it was taken for current, is filled again', async (t) => {
  const agent = await protectedAgent(t, { file: 'x'.repeat(50_000) });
  const [listed] = (await agent.ask('destination.list'))['destinations'] as { archiveFolder: string }[];
  renameSync(listed!.archiveFolder, `${listed!.archiveFolder} aside`);
  mkdirSync(listed!.archiveFolder);
  const verify = async () => ((await agent.ask('verify', { full: true }))['destinations'] as Fields[])[0];
  const found = await verify();
  assert.deepEqual([found?.['isCurrent'], found?.['head']], [false, 0]);
  await agent.ask('backup');
  await agent.until(async () => (await verify())?.['isCurrent'] === true, 'it has the newest state again');
});

test('a restore of what is not there names the path, and --deleted where that would find it', async (t) => {
  const agent = await protectedAgent(t, { kept: '1', gone: '2', 'folder/gone too': '3' });
  rmSync(path.join(agent.tree, 'gone'));
  rmSync(path.join(agent.tree, 'folder'), { recursive: true });
  await agent.ask('backup');
  const to = path.join(agent.folder, 'restored');
  const pathOf = (name: string) => path.join(agent.tree, name);
  for (const [name, deleted] of [
    ['never', false],
    ['never', true],
    ['gone', false],
    ['folder/gone too', false],
    ['folder', false],
  ] as const) {
    const refused = await refusalOf(agent.ask('restore', { paths: [pathOf('kept'), pathOf(name)], to, deleted }));
    assert.deepEqual([refused.code, refused.details['path']], ['restore.not_found', pathOf(name)]);
    assert.equal(String(refused.details['remedy']).includes('add --deleted'), name !== 'never', name);
    assert.notEqual(refused.details['remedy'] ?? '', '');
  }
  const restored = await agent.ask('restore', { paths: [pathOf('gone'), pathOf('folder')], to, deleted: true });
  assert.equal(restored['restored'], 2);
});

test('what a restore in place says of a path begins with a slash', async (t) => {
  const agent = await protectedAgent(t, { 'a/file': 'old' });
  const file = path.join(agent.tree, 'a/file');
  agent.write('a/file', 'other');
  const { renamed } = await agent.ask('restore', { paths: [file] });
  assert.deepEqual(renamed, [{ path: file, name: 'file (restored)' }]);
  const to = path.join(agent.folder, 'to');
  mkdirSync(path.join(to, 'a'), { recursive: true });
  writeFileSync(path.join(to, 'a/file'), 'another');
  const below = await agent.ask('restore', { paths: [path.dirname(file)], to });
  assert.deepEqual((below['renamed'] as Fields[])[0]!['path'], 'a/file');
});

test('a dry run says what would be restored and where, and writes nothing', async (t) => {
  const agent = await protectedAgent(t, { 'a/one': '1', 'a/two': '22' });
  const to = path.join(agent.folder, 'to');
  const plan = async (given: Fields) => {
    const items: Fields[] = [];
    const onItem = (item: Fields) => void items.push(item);
    const result = await agent.ask('restore', { ...given, dryRun: true }, { onItem });
    return { result, items: items.map(({ path, type, sizeBytes }) => [path, type, sizeBytes]) };
  };
  const below = await plan({ paths: [path.join(agent.tree, 'a')], to });
  assert.deepEqual(below.items, [
    [path.join(to, 'a'), 'directory', undefined],
    [path.join(to, 'a/one'), 'file', 1],
    [path.join(to, 'a/two'), 'file', 2],
  ]);
  const { dryRun, entries, directories, totalBytes } = below.result;
  assert.deepEqual([dryRun, entries, directories, totalBytes, existsSync(to)], [true, 2, 1, 3, false]);
  const inPlace = await plan({ paths: [path.join(agent.tree, 'a/one')] });
  assert.deepEqual(inPlace.items, [[path.join(agent.tree, 'a/one'), 'file', 1]]);
  const refused = await refusalOf(agent.ask('restore', { paths: ['/never'], dryRun: true }));
  assert.equal(refused.code, 'restore.not_found');
});

test('a folder that is gone is listed as it was last, and what is gone is found by name', async (t) => {
  const agent = await protectedAgent(t, { 'a/b/file.txt': '1', 'a/kept.txt': '2', 'c/moved.txt': '3' });
  rmSync(path.join(agent.tree, 'a/b'), { recursive: true });
  renameSync(path.join(agent.tree, 'c'), path.join(agent.tree, 'd'));
  await agent.ask('backup');
  const shown = (items: readonly Fields[]) =>
    items.map(({ path: at, isDeleted }) => `${path.relative(agent.tree, String(at))}${isDeleted ? ' -' : ''}`).sort();
  const gone = path.join(agent.tree, 'a/b');
  assert.equal((await refusalOf(agent.ask('ls', { path: gone }))).code, 'browse.not_found');
  assert.deepEqual(shown(await agent.items('ls', { path: gone, deleted: true })), ['a/b/file.txt -']);
  assert.deepEqual(shown(await agent.items('ls', { path: `${gone}/file.txt`, deleted: true })), ['a/b/file.txt -']);
  const find = async (pattern: string, deleted: boolean) => shown(await agent.items('find', { pattern, deleted }));
  assert.deepEqual(await find('*.txt', false), ['a/kept.txt', 'd/moved.txt']);
  assert.deepEqual(await find('*.txt', true), ['a/b/file.txt -', 'a/kept.txt', 'd/moved.txt']);
  assert.deepEqual(await find(`${gone}/*`, true), ['a/b/file.txt -']);
  assert.deepEqual(await find(`${gone}/*`, false), []);
  assert.deepEqual(await find(`${gone}/file.txt`, true), ['a/b/file.txt -']);
  assert.deepEqual(await find('c', true), ['c -']);
});

test('a set whose folders are not there is taken, and the answer says which', async (t) => {
  const agent = await protectedAgent(t, { file: '1' });
  const absent = path.join(agent.folder, 'absent');
  const added = await agent.ask('set.add', { set: { name: 'usb', includes: [agent.tree, absent] } });
  assert.deepEqual(added['missing'], [absent]);
  await agent.ask('backup');
  const { standings } = await agent.ask('status');
  const [home, usb] = standings as Fields[];
  assert.deepEqual([usb!['set'], usb!['state'], usb!['completeAt']], ['usb', 'incomplete', undefined]);
  assert.deepEqual([home!['set'], home!['state'], typeof home!['completeAt']], ['home', 'protected', 'string']);
  const changed = await agent.ask('set.change', { name: 'usb', set: { includes: [agent.tree] } });
  assert.deepEqual(changed['missing'], []);
});

test('the cloud has one name in every answer: its address', async (t) => {
  const address = 'https://cloud.example';
  const place: { folder: string } = { folder: '' };
  const agent = newAgent(t, { makePlace: (config) => folderPlace({ ...config, folder: place.folder }) });
  place.folder = path.join(agent.folder, 'place');
  mkdirSync(place.folder);
  mkdirSync(agent.options.stateDir, { mode: 0o700 });
  const database = new AgentDatabase(path.join(agent.options.stateDir, 'agent.db'));
  database.addDestination({ kind: 'cloud', name: address });
  database.close();
  await agent.start();
  const listed = (await agent.ask('destination.list'))['destinations'] as { name: string }[];
  assert.deepEqual(
    listed.map(({ name }) => name),
    [address],
  );
  const { destinations, notChecked } = await agent.ask('verify');
  const names = [...(destinations as Fields[]), ...(notChecked as Fields[])].map(({ destination }) => destination);
  assert.deepEqual(names, [address]);
});

test('every refusal of bad input says the rule in words', async (t) => {
  const agent = newAgent(t);
  await agent.start();
  const path64 = 'x'.repeat(65);
  const set = { name: 'new', includes: ['/tmp'] };
  const bad: readonly (readonly [string, Fields])[] = [
    ['ls', { path: '' }],
    ['ls', { path: 'relative' }],
    ['ls', { path: 5 }],
    ['ls', {}],
    ['ls', { path: '/', at: '' }],
    ['ls', { path: '/', deleted: 'yes' }],
    ['ls', { path: '/', more: 1 }],
    ['find', { pattern: '' }],
    ['find', { pattern: 'x'.repeat(5000) }],
    ['restore', { paths: [] }],
    ['restore', { paths: ['/a'], onConflict: 'ask' }],
    ['set.add', { set: { ...set, name: '' } }],
    ['set.add', { set: { ...set, name: ' x' } }],
    ['set.add', { set: { ...set, name: 'a\nb' } }],
    ['set.add', { set: { ...set, name: path64 } }],
    ['set.add', { set: { ...set, includes: [] } }],
    ['set.add', { set: { ...set, includes: ['/a\0b'] } }],
    ['set.add', { set: { ...set, commitIntervalSeconds: 5 } }],
    ['set.add', { set: { ...set, commitIntervalSeconds: 5000 } }],
    ['set.add', { set: { ...set, commitIntervalSeconds: 20.5 } }],
    ['set.add', { set: { ...set, excludes: [{ pattern: 'x' }] } }],
    ['set.add', { set: { ...set, pausedBetween: { fromMinute: -1, toMinute: 3 } } }],
    ['set.add', { set: 'none' }],
  ];
  for (const [request, given] of bad) {
    const { code, details } = await refusalOf(agent.ask(request, given));
    const said = `${request} ${JSON.stringify(given).slice(0, 80)}: ${JSON.stringify(details)}`;
    assert.ok(['control.invalid', 'sets.invalid'].includes(code), said);
    assert.match(String(details['problem']), /^it /, said);
    assert.doesNotMatch(String(details['problem']), /expected|Invalid|Too |\\p|Unrecognized/, said);
  }
  for (const [request, given] of [
    ['set.add', { set: { ...set, commitIntervalSeconds: 15 } }],
    ['set.add', { set: { ...set, name: 'x'.repeat(64), pausedBetween: { fromMinute: 0, toMinute: 1439 } } }],
  ] as const) {
    await agent.ask(request, given);
  }
});
