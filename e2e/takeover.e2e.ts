import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { AgentOfDevice } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { holdfastJson, recovered } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { newFolder } from './running-cloud.ts';
import { asOnAnotherDisk, codeIn, isProtected, startScene, storedIn, untilProtected } from './takeover-scene.ts';

test('a new computer goes on with an archive by its recovery code: nothing is sent again, and the old one is told', async (t) => {
  const scene = await startScene(t);
  const { old, device, code, folder, files, replace } = scene;
  const { deviceUid } = device.enrollment;
  const before = await storedIn(folder);
  const by = ['--replace', deviceUid, '--recovery-code'];
  const other = `${'abandon '.repeat(23)}art`;
  assert.equal(codeIn(await replace(by, other)), 'takeover.proof_refused', 'a code of no archive');
  const dry = await replace([...by, '--dry-run'], code);
  assert.equal(dry.status, 0, dry.text);
  assert.equal(codeIn(await replace(by, code)), 'agent_takeover.not_confirmed', 'nobody is there to be asked');
  assert.equal(await isProtected(old), true, 'nothing has changed for the old computer');
  const taken = await replace([...by, '--yes'], code);
  assert.equal(taken.status, 0, taken.text);
  const { replaced, sets } = taken.value as unknown as {
    replaced: { name: string };
    sets: readonly { includes: readonly string[] }[];
  };
  assert.equal(replaced.name, 'laptop');
  assert.deepEqual(
    sets.map(({ includes }) => includes),
    [[files]],
  );

  const isNoticed = async () =>
    ((await statusOf(old)).keyLog?.notices ?? []).some(
      ({ kind, details }) => kind === 'archive_takeover' && details['step'] === 'done',
    );
  await until(isNoticed, 'the old computer, with nothing to back up, to say that its archive went on', 60_000);
  appendFileSync(path.join(files, 'small'), 'changed on the old computer, too late');
  const told = async () => (await statusOf(old)).standings.every(({ remedy = '' }) => remedy.includes('--replace'));
  await until(told, 'the old computer to say who has its archive', 60_000);
  await old.agent.stop();
  rmSync(path.join(files, 'small'));
  asOnAnotherDisk(files);

  const agent = await scene.startNew();
  await untilProtected(agent);
  const after = await storedIn(folder);
  assert.equal(after.contents, before.contents, 'no block is sent again');
  assert.deepEqual(after.writers, [
    ['first', false],
    ['recovery_code', false],
  ]);
  assert.equal(after.epoch, before.epoch + 1, 'the old computer has no key to what comes now');
  writeFileSync(path.join(files, 'later'), 'made on the new computer');
  const head = async () => ((await agent.ask('status')) as unknown as { archive: { head: number } }).archive.head;
  const settled = await head();
  await until(async () => (await head()) > settled, 'the next commit', 60_000);
  await agent.agent.stop();
  await scene.running.stop();
  const back = await recovered(t, { folder }, [], code);
  assert.deepEqual(back.names, ['later', 'long', 'middle'], back.text);
});

test('an old computer that still works hands its archive over, and introduces the new one to every reader', async (t) => {
  const scene = await startScene(t);
  const { old, device, folder, files, replace } = scene;
  const { deviceUid } = device.enrollment;
  const before = await storedIn(folder);
  const papers = newFolder(t);
  const [request, answer, late] = ['request', 'answer', 'late'].map((name) => path.join(papers, name));
  const asked = await replace(['--replace', deviceUid, '--request', request!]);
  assert.equal(asked.status, 0, asked.text);
  const handOver = (args: readonly string[]) => holdfastJson(old.socketPath, ['agent', 'hand-over', ...args]);
  assert.equal(codeIn(await handOver([request!, '--out', answer!])), 'hand_over.not_confirmed');
  const handed = await handOver([request!, '--out', answer!, '--yes']);
  assert.equal(handed.status, 0, handed.text);
  const fingerprintIn = ({ value }: typeof handed) => (value as { fingerprint?: string }).fingerprint;
  assert.equal(fingerprintIn(handed), fingerprintIn(asked));
  assert.equal((await handOver([request!, '--out', late!, '--yes'])).status, 0);
  // It goes on meanwhile: what it commits now is the new one's, too.
  writeFileSync(path.join(files, 'between'), 'made between the hand-over and its use');
  const headOf = async (agent: AgentOfDevice) =>
    ((await agent.ask('status')) as unknown as { archive: { head: number } }).archive.head;
  const handedAt = await headOf(old);
  await until(async () => (await headOf(old)) > handedAt, 'a commit of the old computer', 60_000);
  await untilProtected(old);

  const by = ['--replace', deviceUid, '--yes', '--hand-over'];
  const stranger = path.join(newFolder(t), 'state');
  await scene.invite();
  assert.equal(codeIn(await replace([...by, answer!, '--state', stranger])), 'agent_takeover.for_another');
  const signatureIn = (file: string) => (JSON.parse(readFileSync(file, 'utf8')) as { signature: string }).signature;
  const forged = path.join(papers, 'forged');
  const genuine = JSON.parse(readFileSync(answer!, 'utf8')) as object;
  writeFileSync(forged, JSON.stringify({ ...genuine, signature: signatureIn(late!) }));
  assert.equal(codeIn(await replace([...by, forged])), 'agent_takeover.not_from_writer');
  assert.equal(await isProtected(old), true, 'nothing has changed for the old computer');
  const taken = await replace([...by, answer!]);
  assert.equal(taken.status, 0, taken.text);
  await old.agent.stop();
  const agent = await scene.startNew();
  await untilProtected(agent);
  const after = await storedIn(folder);
  assert.equal(after.contents, before.contents + 1, 'the one file that the old computer added meanwhile');
  assert.deepEqual(after.writers, [
    ['first', false],
    ['device_signed', true],
  ]);
  // Answers to one request are each of use once, and to an archive that is the old computer's.
  assert.notEqual((await replace([...by, late!])).status, 0);
  await agent.agent.stop();
  await scene.running.stop();
  const back = await recovered(t, { folder }, [], scene.code);
  assert.deepEqual(back.names, ['between', 'long', 'middle', 'small'], back.text);
  assert.doesNotMatch(back.text, /introduced/, 'readers have nothing to say against the new writer');
});
