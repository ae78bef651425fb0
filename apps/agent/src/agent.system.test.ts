import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { CodedError, systemClock } from '@holdfast/base';
import { TestAgent } from './testing.ts';

function newAgent(t: TestContext, ...more: ConstructorParameters<typeof TestAgent>): TestAgent {
  const agent = new TestAgent(...more);
  t.after(() => agent.remove());
  return agent;
}

function codeOf(error: unknown): string {
  return error instanceof CodedError ? error.code : String(error);
}

test('a file that is closed is durable in a destination within seconds, without a command', async (t) => {
  const agent = newAgent(t);
  await agent.start();
  await agent.addDestination();
  await agent.untilProtected();
  agent.write('deep/er/file', 'content');
  const tookMs = await agent.until(() => agent.has(path.join(agent.tree, 'deep/er/file')), 'the file is there', 10_000);
  t.diagnostic(`${Math.round(tookMs)} ms`);
  await agent.untilProtected();
  agent.write('deep/er/file', 'changed');
  const file = path.join(agent.tree, 'deep/er/file');
  await agent.until(async () => (await agent.versions(file)) === 2, 'two versions', 20_000);
  unlinkSync(file);
  await agent.until(async () => !(await agent.has(file)), 'its deletion is there', 20_000);
  const items = await agent.items('ls', { path: path.dirname(file), deleted: true });
  assert.deepEqual(
    items.map((item) => [item['path'], item['isDeleted']]),
    [[file, true]],
  );
});

test('a destination that was away catches up, and agrees with the others by ordinal', async (t) => {
  const agent = newAgent(t);
  agent.write('one', 'one');
  await agent.start();
  const first = await agent.addDestination('first');
  const second = await agent.addDestination('second');
  await agent.untilProtected();
  await agent.stop();
  renameSync(second, `${second} away`);
  await agent.start();
  agent.write('two', 'two');
  await agent.ask('backup');
  // The system may tell of the file only now that it is backed up: then it is looked at once more.
  const isOne = (name: string, wanted: string) => async () =>
    (await agent.standings()).some(({ destination, state }) => destination === name && state === wanted);
  await agent.until(isOne(first, 'protected'), 'the first is protected');
  await agent.until(isOne(second, 'behind'), 'the second is behind');
  renameSync(`${second} away`, second);
  await agent.ask('backup');
  await agent.untilProtected();
  const report = await agent.ask('verify', { full: true });
  const [a, b] = report['destinations'] as Record<string, unknown>[];
  assert.deepEqual([a!['damagedCount'], b!['damagedCount'], a!['isCurrent'], b!['isCurrent']], [0, 0, true, true]);
  assert.deepEqual([a!['head'], a!['pieces']], [b!['head'], b!['pieces']]);
});

test('a lost index is rebuilt from the destination, and so is one that a clone or a rollback made wrong', async (t) => {
  const agent = newAgent(t);
  agent.write('kept', 'kept');
  await agent.start();
  const destination = await agent.addDestination();
  await agent.untilProtected();
  await agent.stop();
  const { stateDir } = agent.options;
  for (const name of ['keys.json', 'index.db', 'agent.db'])
    copyFileSync(path.join(stateDir, name), path.join(agent.folder, name));
  rmSync(path.join(stateDir, 'index.db'));
  await agent.start();
  const report = await agent.ask('backup');
  assert.equal(report['newBytes'], 0);
  agent.write('later', 'later');
  await agent.ask('backup');
  await agent.stop();
  // The disk of the day before: its head and its ordinals are older than what the destination has.
  for (const name of ['keys.json', 'index.db', 'agent.db']) {
    copyFileSync(path.join(agent.folder, name), path.join(stateDir, name));
    for (const suffix of ['-wal', '-shm']) rmSync(path.join(stateDir, `${name}${suffix}`), { force: true });
  }
  await agent.start();
  const second = await agent.ask('backup');
  assert.equal(second['newBytes'], 0, 'what the other life sent is known');
  assert.ok(await agent.has(path.join(agent.tree, 'later')));
  const verified = (await agent.ask('verify', { full: true }))['destinations'] as Record<string, unknown>[];
  assert.deepEqual(
    verified.map((each) => [each['destination'], each['damagedCount'], each['isCurrent']]),
    [[destination, 0, true]],
  );
});

test('a destination whose content is gone is filled again from the files', async (t) => {
  const agent = newAgent(t);
  agent.write('kept', 'kept');
  await agent.start();
  const destination = await agent.addDestination();
  await agent.untilProtected();
  const [listed] = (await agent.ask('destination.list'))['destinations'] as { archiveFolder: string }[];
  await agent.stop();
  rmSync(listed!.archiveFolder, { recursive: true });
  await agent.start();
  assert.equal((await agent.standings())[0]?.destination, destination);
  await agent.until(async () => (await agent.standings())[0]?.state === 'behind', 'the destination is away');
  mkdirSync(listed!.archiveFolder);
  await agent.ask('backup');
  assert.ok(await agent.has(path.join(agent.tree, 'kept')));
  const [verified] = (await agent.ask('verify', { full: true }))['destinations'] as Record<string, unknown>[];
  assert.deepEqual([verified!['damagedCount'], verified!['isCurrent']], [0, true]);
});

test('a destination inside a protected folder is left out and said so; one around a protected folder is refused', async (t) => {
  const agent = newAgent(t);
  agent.write('file', '1');
  await agent.start();
  const inside = path.join(agent.tree, 'backups');
  mkdirSync(inside);
  const added = await agent.ask('destination.add', { folder: inside });
  assert.deepEqual(added['excludedFromSets'], ['home']);
  await agent.untilProtected();
  assert.equal(await agent.has(inside), false);
  assert.ok(await agent.has(path.join(agent.tree, 'file')));
  assert.equal((await agent.ask('why', { path: path.join(inside, 'x') }))['status'], 'excluded');
  for (const [folder, code] of [
    [agent.tree, 'destinations.covers_set'],
    [agent.folder, 'destinations.covers_set'],
    [agent.options.stateDir, 'destinations.is_state'],
    [inside, 'destinations.known'],
    [path.join(agent.folder, 'nowhere'), 'destinations.not_a_folder'],
    [path.join(agent.tree, 'file'), 'destinations.not_a_folder'],
    ['relative', 'destinations.not_a_folder'],
  ] as const) {
    await assert.rejects(agent.ask('destination.add', { folder }), (error) => codeOf(error) === code, folder);
  }
  await assert.rejects(
    agent.ask('destination.remove', { name: inside }),
    (error) => codeOf(error) === 'destinations.only_copy',
  );
});

test('sets come and go while the agent runs, and what leaves the selection keeps its versions', async (t) => {
  const agent = newAgent(t);
  agent.write('a/file', 'a');
  agent.write('b/file', 'b');
  await agent.start();
  await agent.addDestination();
  await agent.untilProtected();
  const a = path.join(agent.tree, 'a');
  await agent.ask('set.change', { name: 'home', set: { includes: [a] } });
  await agent.ask('backup');
  assert.equal(await agent.has(path.join(agent.tree, 'b/file')), false);
  assert.equal(await agent.versions(path.join(agent.tree, 'b/file')), 1);
  await agent.ask('set.add', { set: { name: 'b', includes: [path.join(agent.tree, 'b')] } });
  await agent.ask('backup');
  assert.ok(await agent.has(path.join(agent.tree, 'b/file')));
  await assert.rejects(
    agent.ask('set.add', { set: { name: 'b', includes: ['/x'] } }),
    (error) => codeOf(error) === 'sets.name_taken',
  );
  const { stateDir } = agent.options;
  await assert.rejects(
    agent.ask('set.add', { set: { name: 'own', includes: [stateDir] } }),
    (error) => codeOf(error) === 'sets.path_protects_holdfast',
  );
  await agent.ask('set.add', { set: { name: 'missing', includes: [path.join(agent.tree, 'missing')] } });
  await agent.ask('backup');
  assert.equal((await agent.standings()).find(({ set }) => set === 'missing')?.state, 'incomplete');
  agent.write('missing/now', '1');
  await agent.until(() => agent.has(path.join(agent.tree, 'missing/now')), 'the folder that came is protected');
  await agent.ask('set.remove', { name: 'missing' });
  assert.deepEqual(
    ((await agent.ask('set.list'))['sets'] as { name: string }[]).map(({ name }) => name),
    ['home', 'b'],
  );
});

test('a clock that is set back by two days while the agent runs loses nothing', async (t) => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  const agent = newAgent(t, { clock });
  agent.write('before', '1');
  await agent.start();
  await agent.addDestination();
  await agent.untilProtected();
  aheadMs = -2 * 86_400_000;
  agent.write('after', '2');
  await agent.until(() => agent.has(path.join(agent.tree, 'after')), 'the file is there', 20_000);
  const report = await agent.ask('backup');
  assert.deepEqual(report['problems'], []);
});

test('a clock that jumps back and forth in the middle of backups loses no version', async (t) => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  const agent = newAgent(t, { clock });
  const edited = path.join(agent.tree, 'edited');
  const jumps = [0, -2 * 86_400_000, 3 * 86_400_000, -400 * 86_400_000];
  await agent.start();
  await agent.addDestination();
  for (const [edit, jumpMs] of jumps.entries()) {
    for (let at = 0; at < 40; at++) agent.write(`${edit}/${at}`, randomBytes(700_000));
    agent.write('edited', `edition ${edit}`);
    let hasJumped = false;
    // The clock is set while the pass is under way, before its commits.
    const onProgress = () => {
      if (!hasJumped) aheadMs += jumpMs;
      hasJumped = true;
    };
    const report = await agent.ask('backup', {}, { onProgress });
    assert.ok(hasJumped, 'the clock was set during the backup');
    assert.deepEqual([report['problems'], report['missing']], [[], []]);
  }
  const { versions } = (await agent.ask('versions', { path: edited })) as { versions: { commit: number }[] };
  assert.equal(versions.length, jumps.length);
  // Without a server nobody knows which of the times was right: numbers order the versions.
  const commits = versions.map(({ commit }) => commit);
  assert.deepEqual(
    commits,
    commits.toSorted((a, b) => a - b),
  );
  const to = path.join(agent.folder, 'newest');
  await agent.ask('restore', { paths: [edited], to });
  assert.equal(readFileSync(path.join(to, 'edited'), 'utf8'), `edition ${jumps.length - 1}`);
  for (const edit of jumps.keys())
    assert.equal((await agent.items('ls', { path: path.join(agent.tree, String(edit)) })).length, 40);
  const [verified] = (await agent.ask('verify', { full: true }))['destinations'] as Record<string, unknown>[];
  assert.deepEqual([verified!['damagedCount'], verified!['isCurrent']], [0, true]);
  await agent.untilProtected();
});

test('a recovery code is shown, typed back, and then opens the archive; no file of the agent holds it', async (t) => {
  const agent = newAgent(t);
  await agent.start();
  await agent.addDestination();
  await agent.untilProtected();
  const stateOf = async () => ((await agent.ask('status'))['recoveryCode'] as { state: string }).state;
  assert.equal(await stateOf(), 'missing');
  const { code } = await agent.ask('key.show-recovery');
  await assert.rejects(
    agent.ask('key.confirm-recovery', { code: 'abandon ' }),
    (error) => codeOf(error) === 'recovery_code.wrong_length',
  );
  assert.equal(await stateOf(), 'missing');
  assert.equal((await agent.ask('key.confirm-recovery', { code }))['destinations'], 1);
  assert.equal(await stateOf(), 'confirmed');
  agent.write('file', '1');
  await agent.ask('backup');
  const { keyFile } = await agent.ask('key.export');
  assert.match(String(keyFile), /^holdfast-key-v1\narchive [0-9a-f]{32}\nepoch 0 1 /);
});

test('what was deleted and what was changed comes back as it was, also into the protected folder itself', async (t) => {
  const agent = newAgent(t);
  agent.write('a/file', 'first');
  agent.write('a/gone', 'gone');
  await agent.start();
  await agent.addDestination();
  await agent.untilProtected();
  const { head } = (await agent.ask('status'))['archive'] as { head: number };
  unlinkSync(path.join(agent.tree, 'a/gone'));
  agent.write('a/file', 'second');
  await agent.ask('backup');
  const to = path.join(agent.tree, 'restored');
  const report = await agent.ask('restore', { paths: [path.join(agent.tree, 'a')], to, deleted: true });
  assert.deepEqual([report['failedCount'], report['restored']], [0, 2], JSON.stringify(report));
  assert.equal(readFileSync(path.join(to, 'a/file'), 'utf8'), 'second');
  assert.equal(readFileSync(path.join(to, 'a/gone'), 'utf8'), 'gone');
  assert.ok(head > 0);
  await assert.rejects(
    agent.ask('restore', { paths: [agent.tree], to, at: '1990-01-01' }),
    (error) => codeOf(error) === 'time.before_first',
  );
  const back = await agent.ask('restore', { paths: [path.join(agent.tree, 'a/gone')], deleted: true });
  assert.equal(back['restored'], 1);
  assert.equal(readFileSync(path.join(agent.tree, 'a/gone'), 'utf8'), 'gone');
});

test('an agent that cannot listen leaves nothing open, and can be started again', async (t) => {
  const agent = newAgent(t);
  const file = path.join(agent.folder, 'a file');
  writeFileSync(file, '');
  const socketPath = path.join(file, 'agent.sock');
  await assert.rejects(agent.start({ socketPath }), (error) => codeOf(error) === 'control.cannot_listen');
  await agent.start();
  assert.equal((await agent.standings())[0]?.state, 'failed', 'there is no destination yet');
});
