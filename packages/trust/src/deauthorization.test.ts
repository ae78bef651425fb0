import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { openDeauthorization, signDeauthorization, type EnrolledIdentity } from './deauthorization.ts';
import { leafHash } from './merkle-log.ts';
import { noteSigner, signNote } from './signed-note.ts';

const origin = 'holdfast/installation/tenant/audit';
const newSigner = (name = origin) => noteSigner(name, generateKeyPairSync('ed25519').privateKey);
const signer = newSigner();
const device: EnrolledIdentity = {
  installationId: '0190a000-0000-7000-8000-000000000001',
  tenantUid: '0190a000-0000-7000-8000-000000000002',
  deviceUid: '0190a000-0000-7000-8000-000000000003',
  keyThumbprint: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
};
const at = new Date('2026-11-22T07:00:00.123Z');
const context = 'holdfast/device-deauthorization/v1';

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'opened';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

const open = (note: string, about: EnrolledIdentity = device, key = signer.key) =>
  openDeauthorization(note, about, [key]);

test('a statement is two lines, and opens for the enrolment it is about, under the key that signed it', () => {
  const note = signDeauthorization(device, at, [signer]);
  assert.equal(open(note), at.toISOString());
  const stated =
    `{"deauthorizedAt":"2026-11-22T07:00:00.123Z","deviceUid":"${device.deviceUid}",` +
    `"installationId":"${device.installationId}","keyThumbprint":"${device.keyThumbprint}","tenantUid":"${device.tenantUid}"}`;
  assert.ok(note.startsWith(`${context}\n${stated}\n\n— ${origin} `), note);
});

test('a statement about another device, key, tenant or installation, or by another key, does not open', () => {
  for (const field of ['installationId', 'tenantUid', 'deviceUid', 'keyThumbprint'] as const) {
    const other = { ...device, [field]: device[field].replace(/.$/, 'X') };
    const note = signDeauthorization(other, at, [signer]);
    assert.equal(open(note, other), at.toISOString(), field);
    assert.equal(
      codeOf(() => open(note)),
      'note.malformed',
      field,
    );
  }
  const note = signDeauthorization(device, at, [signer]);
  assert.equal(
    codeOf(() => open(note, device, newSigner('holdfast/other').key)),
    'note.unverified',
  );
  assert.equal(
    codeOf(() => open(note, device, newSigner().key)),
    'note.unverified',
    'a key of the same name',
  );
  const theirs = { ...newSigner(), key: signer.key };
  assert.equal(
    codeOf(() => open(signDeauthorization(device, at, [theirs]))),
    'note.forged',
  );
});

test('neither is a head of the log taken for a statement, nor a statement for a head', () => {
  const head = signCheckpoint({ origin, treeSize: 7, root: leafHash(new Uint8Array()) }, [signer]);
  assert.equal(openCheckpoint(head, origin, [signer.key]).treeSize, 7);
  assert.equal(
    codeOf(() => open(head)),
    'note.malformed',
  );
  const statement = signDeauthorization(device, at, [signer]);
  assert.equal(
    codeOf(() => openCheckpoint(statement, origin, [signer.key])),
    'note.malformed',
  );
  // Nor where the log were called as statements begin.
  assert.equal(
    codeOf(() => openCheckpoint(statement, context, [signer.key])),
    'note.malformed',
  );
  const named = signCheckpoint({ origin: context, treeSize: 7, root: leafHash(new Uint8Array()) }, [signer]);
  assert.equal(
    codeOf(() => open(named)),
    'note.malformed',
  );
});

test('a statement has one spelling: any other text is refused, though the right key signed it', () => {
  const facts = { ...device, deauthorizedAt: at.toISOString() };
  const good = canonicalJson(facts);
  const { deauthorizedAt: _, ...timeless } = facts;
  const spelt = (text: string) => signNote(text, [signer]);
  assert.equal(open(spelt(`${context}\n${good}\n`)), at.toISOString());
  const wrong: Readonly<Record<string, string>> = {
    'another context': `holdfast/device-authorization/v1\n${good}\n`,
    'a later form': `holdfast/device-deauthorization/v2\n${good}\n`,
    'no context': `${good}\n`,
    'no facts': `${context}\n`,
    'not JSON': `${context}\nrubbish\n`,
    'another order': `${context}\n${JSON.stringify(facts)}\n`,
    'a space': `${context}\n${good.replace(',', ', ')}\n`,
    'one more line': `${context}\n${good}\nmore\n`,
    'one more fact': `${context}\n${canonicalJson({ ...facts, also: 1 })}\n`,
    'no instant': `${context}\n${canonicalJson(timeless)}\n`,
    'no such instant': `${context}\n${canonicalJson({ ...facts, deauthorizedAt: 'yesterday' })}\n`,
    'an instant that is a number': `${context}\n${canonicalJson({ ...facts, deauthorizedAt: 1 })}\n`,
    'a list': `${context}\n["deauthorizedAt"]\n`,
    nothing: `${context}\nnull\n`,
  };
  for (const [about, text] of Object.entries(wrong))
    assert.equal(
      codeOf(() => open(spelt(text))),
      'note.malformed',
      about,
    );
});

test('a statement with any byte changed does not open', () => {
  const note = signDeauthorization(device, at, [signer]);
  const place = fc.record({ index: fc.nat({ max: note.length - 1 }), to: fc.string({ minLength: 1, maxLength: 1 }) });
  fc.assert(
    fc.property(place, ({ index, to }) => {
      const changed = note.slice(0, index) + to + note.slice(index + 1);
      fc.pre(changed !== note);
      assert.match(
        codeOf(() => open(changed)),
        /^note\.(malformed|forged|unverified)$/,
      );
    }),
  );
});
