import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  appendLeaves,
  emptyTree,
  formatVerifierKey,
  keyLogOrigin,
  logKeyName,
  noteSigner,
  openNote,
  outlineHash,
  parseVerifierKey,
  rootOf,
  signCheckpoint,
  signNote,
  writeKeyLogLeaf,
} from '@holdfast/trust';
import { localKeystore } from '../testing/local-keystore.ts';
import { startForFile } from '../testing/test-server.ts';

const { cloud } = await startForFile();
const { installationId } = cloud.api;
const { clock } = cloud;
const database = cloud.testDatabase.open('hf_keystore');
const keystore = localKeystore({ installationId, database, kms: cloud.kms.forRole('keystore'), clock });

const outlines = Array.from({ length: 5 }, (_, place) => {
  const nonce = Buffer.alloc(16, place).toString('base64url');
  const day = `2026-01-0${place + 1}`;
  const fact = { kind: 'daily_heads', day, archives: 1, root: '0'.repeat(64) } as const;
  return writeKeyLogLeaf({ ...fact, at: '2026-01-02T03:04:05.678Z', nonce }).outline;
});

/** A tenant whose log key is here, and whose keystore has followed so many leaves. */
async function makeTenant(followed: number) {
  const tenantUid = crypto.randomUUID();
  const name = logKeyName(installationId, tenantUid);
  const signer = noteSigner(name, generateKeyPairSync('ed25519').privateKey);
  const logVerifier = formatVerifierKey(signer.key);
  const { keystoreVerifier } = await keystore.makeTenantKeys({ tenantUid, logVerifier });
  const origin = keyLogOrigin(installationId, tenantUid);
  const rootAt = (size: number) => rootOf(appendLeaves(emptyTree, outlines.slice(0, size).map(outlineHash)).state);
  const headOf = (size: number, root = rootAt(size), by = signer) =>
    signCheckpoint({ origin, treeSize: size, root }, [by]);
  const body = outlines.slice(0, followed).map((outline) => Buffer.from(outline).toString('base64url'));
  const head = { note: headOf(followed), consistency: [] };
  if (followed > 0) await keystore.follow({ tenantUid, fromSize: 0, head, outlines: body, texts: [] });
  const cosign = (note: string) => keystore.cosignHead({ tenantUid, note });
  return { tenantUid, signer, keystoreVerifier, headOf, cosign, name };
}

test('the keystore signs the head that it has followed, with the key that computers pin, beside the log', async () => {
  const { headOf, cosign, keystoreVerifier, signer } = await makeTenant(3);
  const { note } = await cosign(headOf(3));
  assert.ok(note.startsWith(headOf(3)));
  const { signedBy } = openNote(note, [parseVerifierKey(keystoreVerifier), signer.key]);
  assert.equal(signedBy.length, 2);
  assert.deepEqual(await cosign(headOf(3)), { note });
});

test('it signs no head that is older, longer, of another log or another root, and no further words', async () => {
  const { headOf, cosign, name, signer } = await makeTenant(3);
  const other = await makeTenant(3);
  const words = signNote(`${headOf(3).split('\n').slice(0, 3).join('\n')}\nand more\n`, [signer]);
  const foreign = noteSigner(name, generateKeyPairSync('ed25519').privateKey);
  const wrong = [
    [headOf(2), 'older_head'],
    [headOf(4), 'not_followed'],
    [headOf(3, new Uint8Array(32).fill(7)), 'forked_log'],
    [words, 'forked_log'],
    [headOf(3, undefined, foreign), 'unsigned_head'],
    [other.headOf(3), 'unsigned_head'],
    ['no note', 'unsigned_head'],
  ] as const;
  for (const [note, code] of wrong) {
    await assert.rejects(cosign(note), { code: `keystore.${code}` }, code);
    assert.ok((await cosign(headOf(3))).note.length > headOf(3).length);
  }
  const unknown = { tenantUid: crypto.randomUUID(), note: headOf(3) };
  await assert.rejects(keystore.cosignHead(unknown), { code: 'keystore.tenant_unknown' });
});

test('of a log that it has not followed at all it signs nothing', async () => {
  const { headOf, cosign } = await makeTenant(0);
  await assert.rejects(cosign(headOf(1)), { code: 'keystore.not_followed' });
});
