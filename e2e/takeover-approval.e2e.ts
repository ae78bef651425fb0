import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { registerPersonKey } from '@holdfast/cloud';
import { systemRandom } from '@holdfast/base';
import { parseKeyLogLeaf, signTakeoverProof } from '@holdfast/trust';
import { EnrollmentStore } from '@holdfast/agent/cloud';
import { formatApproval } from '@holdfast/agent/takeover';
import { statusOf } from './agent-status.ts';
import { holdfastJson } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { command, done, makePerson, type Person } from './release-people.ts';
import { newFolder, type RunningCloud } from './running-cloud.ts';
import { codeIn, isProtected, startScene, storedIn, untilProtected } from './takeover-scene.ts';

const day = 24 * 3_600_000;

/** A person whose key the operator registered over a day ago, before all others, and who may approve. */
async function makeApprover({ cloud, homeDir }: RunningCloud, folder: string): Promise<Person> {
  const keyFile = path.join(folder, 'anna');
  const { publicKey } = await done(homeDir, ['key', 'person', 'new', keyFile]);
  const { bootstrap, api } = cloud;
  const clock = { ...bootstrap.clock, now: () => Date.now() - day - 60_000 };
  const wanted = { slug: 'home', username: 'anna', publicKey: publicKey!, mayApprove: true };
  const { card } = await registerPersonKey(
    { ...cloud, bootstrap: { ...bootstrap, clock }, server: api.server },
    wanted,
  );
  writeFileSync(`${keyFile} card`, JSON.stringify(card));
  await done(homeDir, ['key', 'person', 'accept', keyFile, `${keyFile} card`]);
  return { name: 'anna', keyFile, publicKey: publicKey!, userUid: card.userUid };
}

/** The new computer has written its request; an approver of long standing, one of today, and a person who asks. */
async function startApprovals(t: TestContext) {
  const papers = newFolder(t);
  let anna: Person | undefined;
  const scene = await startScene(t, async (cloud) => void (anna = await makeApprover(cloud, papers)));
  assert.ok(anna);
  const { running, replace, device } = scene;
  const { homeDir } = running;
  const ben = await makePerson({ homeDir, folder: papers }, { tenant: 'home', name: 'ben' });
  const cleo = await makePerson({ homeDir, folder: papers }, { tenant: 'home', name: 'cleo', approver: true });
  const vouch = ['--public-key', ben.publicKey, '--user', ben.userUid];
  await done(homeDir, ['key', 'person', 'vouch', anna.keyFile, ...vouch]);
  const { deviceUid } = device.enrollment;
  const request = path.join(papers, 'request');
  const asked = await replace(['--replace', deviceUid, '--request', request]);
  assert.equal(asked.status, 0, asked.text);
  const fingerprint = (asked.value as { fingerprint?: string }).fingerprint!;
  const approve = (by: Person, out: string, more: readonly string[] = ['--yes']) =>
    command(homeDir, ['key', 'takeover', 'approve', request, '--key', by.keyFile, '--out', out, ...more]);
  return { ...scene, homeDir, papers, anna, ben, cleo, deviceUid, request, fingerprint, approve };
}

/** An approval that the new computer signs itself, with the key that its enrolment token gave a place. */
function selfSigned({ newState, archiveId, deviceUid }: Awaited<ReturnType<typeof startApprovals>>): string {
  const { installationId, tenantUid, deviceKey } = new EnrollmentStore(newState).load()!;
  const claim = {
    kind: 'approval',
    installationId,
    tenantUid,
    archiveId: uuidOf(archiveId),
    device: deviceUid,
    newDeviceKey: deviceKey.x,
    signerKey: deviceKey.x,
    expiresAt: new Date(Date.now() + day).toISOString(),
    proofId: Buffer.from(systemRandom(16)).toString('base64url'),
  } as const;
  const key = createPrivateKey({ key: { ...deviceKey }, format: 'jwk' });
  return formatApproval(signTakeoverProof(claim, (message) => sign(null, message, key)));
}

function uuidOf(hex: string): string {
  return hex.replaceAll('-', '').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

test('an administrator lets a new computer go on with an archive whose keys come from escrow, sealed to it alone', async (t) => {
  const scene = await startApprovals(t);
  const { homeDir, papers, anna, ben, cleo, deviceUid, request, fingerprint, replace, approve, old, folder } = scene;
  const [approval, young, ring] = ['approval', 'young', 'ring'].map((name) => path.join(papers, name));
  const before = await storedIn(folder);

  const unasked = await approve(anna, approval!, []);
  assert.equal(codeIn(unasked), 'new_computer.not_confirmed');
  const approved = await approve(anna, approval!);
  assert.equal(approved.status, 0, approved.text);
  const said = approved.value as { fingerprint?: string; deviceUid?: string };
  assert.deepEqual([said.fingerprint, said.deviceUid], [fingerprint, deviceUid]);
  assert.equal((await approve(cleo, young!)).status, 0);

  const wanted = ['key', 'release', 'request', '--key', ben.keyFile, '--ring', request, '--reason', 'the disk is gone'];
  const { requestSha256, purpose } = await done(homeDir, [...wanted, '--yes']);
  assert.equal(purpose, 'replacement');
  const take = ['key', 'release', 'take', String(requestSha256), '--key', ben.keyFile, '--out', ring!];
  assert.equal(codeIn(await command(homeDir, take)), 'releases.waiting');
  await done(homeDir, ['key', 'release', 'approve', String(requestSha256), '--key', anna.keyFile]);
  await done(homeDir, take);

  const by = ['--replace', deviceUid, '--yes', '--ring', ring!, '--approval'];
  assert.equal(codeIn(await replace([...by, young!])), 'takeover.proof_refused', 'a right to approve of today');
  const stranger = path.join(newFolder(t), 'state');
  await scene.invite();
  assert.equal(codeIn(await replace([...by, approval!, '--state', stranger])), 'key_release.for_another');
  assert.equal(await isProtected(old), true, 'nothing has changed for the old computer');
  const taken = await replace([...by, approval!]);
  assert.equal(taken.status, 0, taken.text);

  const late = path.join(scene.files, 'late');
  writeFileSync(late, 'written on the old computer, too late');
  const told = async () => (await statusOf(old)).standings.every(({ remedy = '' }) => remedy.includes('--replace'));
  await until(told, 'the old computer to say who has its archive', 60_000);
  await old.agent.stop();
  rmSync(late);
  const agent = await scene.startNew();
  await untilProtected(agent);
  const after = await storedIn(folder);
  assert.equal(after.contents, before.contents, 'no block is sent again');
  assert.deepEqual(after.writers, [
    ['first', false],
    ['administrator', false],
  ]);
  assert.equal(after.epoch, before.epoch + 1);
  const [recoveryCode, escrow] = [1, 2];
  assert.deepEqual(
    [before.slots.toSorted((a, b) => a - b), after.slots],
    [[recoveryCode, escrow], [escrow]],
    'others are made anew',
  );
  const { leaves } = await scene.tenant.client.keyLog.leaves({ query: {} });
  const kinds = leaves.map(({ body }) => parseKeyLogLeaf(body).kind);
  assert.ok(kinds.includes('release') && kinds.includes('archive_takeover'));
});

test('neither a password, an enrolment token nor both take an archive over; with an approval the password opens it', async (t) => {
  const scene = await startApprovals(t);
  const { homeDir, papers, anna, ben, deviceUid, request, replace, approve, old, folder, tenant } = scene;
  const password = 'correct horse battery';
  const set = await holdfastJson(old.socketPath, ['key', 'set-password'], `${password}\n`);
  assert.equal(set.status, 0, set.text);
  const slots = async () => (await storedIn(folder)).epoch;
  await until(async () => (await slots()) > 0, 'the keyring with the password at the server', 60_000);

  const by = ['--replace', deviceUid, '--yes'];
  assert.equal(codeIn(await replace(by)), 'agent_enroll.means', 'the token alone');
  assert.equal(codeIn(await replace([...by, '--with-password'], password)), 'agent_enroll.means', 'and the password');
  const own = path.join(papers, 'own');
  writeFileSync(own, selfSigned(scene));
  const self = await replace([...by, '--approval', own, '--with-password'], password);
  assert.equal(codeIn(self), 'takeover.proof_refused', 'an approval that the new computer signed itself');
  const wanted = ['key', 'release', 'request', '--key', ben.keyFile, '--ring', request, '--reason', 'why', '--yes'];
  assert.equal(codeIn(await command(homeDir, wanted)), 'releases.no_escrow', 'its user struck escrow');

  const approval = path.join(papers, 'approval');
  const approved = await approve(anna, approval, ['--yes', '--days', '1']);
  assert.equal(approved.status, 0, approved.text);
  assert.doesNotMatch(readFileSync(approval, 'utf8'), /sealed/);
  const wrong = await replace([...by, '--approval', approval, '--with-password'], 'another password 1');
  assert.equal(codeIn(wrong), 'agent_takeover.does_not_open');
  assert.equal(await isProtected(old), true, 'nothing has changed for the old computer');
  const taken = await replace([...by, '--approval', approval, '--with-password'], password);
  assert.equal(taken.status, 0, taken.text);
  await old.agent.stop();
  await untilProtected(await scene.startNew());
  const { leaves } = await tenant.client.keyLog.leaves({ query: {} });
  const steps = leaves.flatMap(({ body }) => {
    const leaf = parseKeyLogLeaf(body);
    return leaf.kind === 'archive_takeover' ? [`${leaf.proof} ${leaf.step}`] : [];
  });
  assert.deepEqual(steps, ['approval begun', 'approval done']);
});
