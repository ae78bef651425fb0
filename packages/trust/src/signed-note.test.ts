import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { leafHash } from './merkle-log.ts';
import { cosignNote, formatVerifierKey, noteSigner, openNote, parseVerifierKey, signNote } from './signed-note.ts';

/** The example of Go's sumdb/note and that of C2SP signed-note, with their keys. */
const peter = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
const enoch = parseVerifierKey('EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop');
const foo = parseVerifierKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
const peterSeed = 'AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const peterText =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const peterLine =
  '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const enochLine =
  '\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';
const fooNote =
  'This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
const peterNote = `${peterText}\n${peterLine}`;

function privateKeyOfSeed(seed: Uint8Array) {
  const pkcs8Prefix = Uint8Array.fromHex('302e020100300506032b657004220420');
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
}

function newSigner(name: string) {
  return noteSigner(name, generateKeyPairSync('ed25519').privateKey);
}

test('the published notes open under the published keys', () => {
  assert.deepEqual(openNote(peterNote, [peter]), { text: peterText, signedBy: [peter] });
  assert.equal(openNote(fooNote, [foo]).text, 'This is an example message.\n');
  assert.deepEqual(openNote(peterNote + enochLine, [enoch, peter]).signedBy, [enoch, peter]);
});

test('signing the published text with the published key gives the published note', () => {
  const signer = noteSigner('PeterNeumann', privateKeyOfSeed(Uint8Array.fromBase64(peterSeed).subarray(1)));
  assert.deepEqual(signer.key, peter);
  assert.equal(signNote(peterText, [signer]), peterNote);
});

test('a verifier key reads back as written; one with another id, type, length or spelling is refused', () => {
  for (const key of [peter, enoch, foo, newSigner('log').key])
    assert.deepEqual(parseVerifierKey(formatVerifierKey(key)), key);
  const written = formatVerifierKey(peter);
  const wrong = [
    written.replace('c74f20a3', 'c74f20a4'),
    written.replace('c74f20a3', 'C74F20A3'),
    written.replace('+ARpc', '+Axpc'),
    written.replace('PeterNeumann', 'Peter Neumann'),
    written.replace('PeterNeumann', ''),
    `${written}=`,
    `${written}\n`,
    written.slice(0, -4),
    `${written}AAAA`,
    '',
  ];
  for (const text of wrong) assert.throws(() => parseVerifierKey(text), { code: 'note.malformed_key' }, text);
});

test('signatures of unknown keys are ignored, and are not enough', () => {
  const witness = newSigner('witness.example/w1');
  const cosigned = cosignNote(peterNote, witness);
  assert.deepEqual(openNote(cosigned, [peter]).signedBy, [peter]);
  assert.deepEqual(openNote(cosigned, [witness.key]).signedBy, [witness.key]);
  const sameName = newSigner('PeterNeumann');
  assert.deepEqual(openNote(cosignNote(peterNote, sameName), [peter]).signedBy, [peter]);
  assert.throws(() => openNote(cosigned, [enoch]), { code: 'note.unverified' });
  assert.throws(() => openNote(peterNote, [sameName.key]), { code: 'note.unverified' });
  assert.throws(() => openNote(peterNote, []), { code: 'note.unverified' });
});

test('a false signature of a known key condemns a note that another known key signed', () => {
  const borrowed = enochLine.replace('rwz+eBzm', 'rwz+eAAA');
  assert.throws(() => openNote(peterNote + borrowed, [peter, enoch]), { code: 'note.forged' });
  assert.throws(() => openNote(peterNote.replace('answer', 'anshwer'), [peter]), { code: 'note.forged' });
  assert.throws(
    () => openNote(`${peterNote}${peterLine.replace('Zpx', 'Zpy').replace('yBwJnAM=', 'yBwJnAI=')}`, [peter]),
    {
      code: 'note.forged',
    },
  );
  assert.deepEqual(openNote(peterNote + borrowed, [peter]).signedBy, [peter]);
  assert.deepEqual(openNote(peterNote + peterLine, [peter]).signedBy, [peter]);
});

test('malformed notes are refused, their well-formed neighbours open', () => {
  const malformed: readonly string[] = [
    '',
    peterText,
    `${peterText}\n`,
    peterLine,
    `\n${peterLine}`.slice(1),
    peterNote.slice(0, -1),
    `${peterText}\n${peterLine.replace('\u2014', '--')}`,
    `${peterText}\n${peterLine.replace('\u2014 ', '\u2014')}`,
    `${peterText}\n${peterLine.replace('Peter', 'Peter ')}`,
    `${peterText}\n${peterLine.replace('Peter', 'Peter+')}`,
    `${peterText}\n${peterLine.replace('x08go', 'x08 go')}`,
    `${peterText}\n${peterLine.replace('nAM=', 'nAN=')}`,
    `${peterText}\n${peterLine.replace('nAM=', 'nAM')}`,
    `${peterText}\n\u2014 PeterNeumann x08gow==\n`,
    `${peterNote}\n`,
    peterNote.replaceAll('\n', '\r\n'),
    peterNote.replace('If', 'I\tf'),
    peterNote.replace('If', 'I\u0000f'),
    peterNote.replace('If', 'I\ud800f'),
    peterNote + enochLine.repeat(100),
  ];
  for (const note of malformed)
    assert.throws(() => openNote(note, [peter]), { code: 'note.malformed' }, JSON.stringify(note));
  for (const note of [peterNote, peterNote + enochLine.repeat(99), peterNote + peterLine])
    assert.equal(openNote(note, [peter]).text, peterText);
});

test('any text of lines signs and opens again, empty lines and signature look-alikes included', () => {
  const signer = newSigner('log.example');
  const line = fc.oneof(
    fc.string({ unit: 'grapheme' }).filter((text) => !/[\u0000-\u001f]/.test(text)), // oxlint-disable-line no-control-regex
    fc.constantFrom('', '\u2014 log.example AAAAAAA=', peterLine.trimEnd()),
  );
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), (lines) => {
      const text = `${lines.join('\n')}\n`;
      assert.equal(openNote(signNote(text, [signer]), [signer.key]).text, text);
    }),
    { numRuns: 200 },
  );
});

test('what is not a note text is not signed', () => {
  const signer = newSigner('log.example');
  for (const text of ['', 'no end of line', 'tab\there\n', 'lone \ud800\n', '\r\n'])
    assert.throws(() => signNote(text, [signer]), { code: 'note.not_signable' });
  assert.throws(() => signNote('text\n', []), { code: 'note.not_signable' });
  assert.equal(openNote(signNote('\n', [signer]), [signer.key]).text, '\n');
});

test('a head reads back as signed, and only as a head of its own log', () => {
  const signer = newSigner('holdfast.example/tenant/log');
  const heads = [0, 1, 20852163, Number.MAX_SAFE_INTEGER].map((treeSize) => ({
    origin: 'holdfast.example/tenant/log',
    treeSize,
    root: leafHash(new TextEncoder().encode(`${treeSize}`)),
  }));
  for (const head of heads) {
    const note = cosignNote(signCheckpoint(head, [signer]), newSigner('witness'));
    assert.deepEqual(openCheckpoint(note, head.origin, [signer.key]), head);
    assert.throws(() => openCheckpoint(note, 'another.example/log', [signer.key]), { code: 'note.malformed' });
  }
});

test('a signed text that is no head is refused, with extension lines it is one', () => {
  const signer = newSigner('o');
  const root = leafHash(new Uint8Array()).toBase64();
  const open = (text: string) => openCheckpoint(signNote(text, [signer]), 'o', [signer.key]);
  for (const text of [
    'o\n',
    'o\n1\n',
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n1e3\n${root}\n`,
    `o\n9007199254740992\n${root}\n`,
    `o\n99999999999999999999\n${root}\n`,
    `o\n1\n${root.slice(4)}\n`,
    `o\n1\n${root} \n`,
    `o\n1\n${root.slice(0, -1)}\n`,
    `o\n1\n${root.slice(0, 42)}B=\n`,
    `o\n1\n${root}\nextension\n\n`,
  ])
    assert.throws(() => open(text), { code: 'note.malformed' }, text);
  for (const text of [`o\n1\n${root}\n`, `o\n1\n${root}\nextension\nanother\n`]) assert.equal(open(text).treeSize, 1);
});
