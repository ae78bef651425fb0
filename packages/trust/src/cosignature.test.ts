import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { formatWitnessKey, openCosignatures, parseWitnessKey } from './cosignature.ts';
import { leafHash } from './merkle-log.ts';
import { formatVerifierKey, noteSigner, parseVerifierKey } from './signed-note.ts';
import { newCosigner } from './testing/cosigner.ts';

/**
 * A head that a public log published on 2026-05-24 with the cosignatures of its witnesses, and the key of one of them, as
 * transparency-dev/formats has it (note/note_cosigv1_test.go).
 */
const remora = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2';
const published = `arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

\u2014 arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
\u2014 transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
\u2014 remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
`;

const logSigner = noteSigner('log.example', generateKeyPairSync('ed25519').privateKey);
const headOf = (treeSize: number) =>
  signCheckpoint({ origin: 'log.example', treeSize, root: leafHash(Buffer.from(`${treeSize}`)) }, [logSigner]);
const at = new Date('2026-01-02T03:04:05Z');

test('a published cosignature opens under the published key, and with it the time that its witness signed', () => {
  const key = parseWitnessKey(remora);
  const [opened, ...others] = openCosignatures(published, [key]);
  assert.deepEqual([opened?.key, opened?.cosignedAt.toISOString()], [key, '2026-05-23T21:50:24.000Z']);
  assert.ok(opened && published.includes(`\n${opened.line}\n`) && opened.line.startsWith('\u2014 remora.n621.de '));
  assert.deepEqual(others, []);
  for (const altered of [
    published.replace('1432088532', '42'),
    published.replace('2net5wAAAABqEiEg', '2net5wAAAABqEiEh'),
  ])
    assert.throws(() => openCosignatures(altered, [key]), { code: 'note.forged' });
});

test("a witness's key reads back as written; one with another id, type, length or spelling is refused", () => {
  for (const text of [remora, formatWitnessKey(newCosigner('w').key)])
    assert.equal(formatWitnessKey(parseWitnessKey(text)), text);
  const ofLog = formatVerifierKey(logSigner.key);
  assert.equal(formatVerifierKey(parseVerifierKey(ofLog)), ofLog);
  const wrong = [
    ofLog,
    remora.replace('da77ade7', 'da77ade8'),
    remora.replace('+BO', '+AO'),
    remora.slice(0, -4),
    `${remora} `,
    remora.replace('remora', 'remo ra'),
    '',
  ];
  for (const text of wrong) assert.throws(() => parseWitnessKey(text), { code: 'note.malformed_key' }, text);
  assert.throws(() => parseVerifierKey(remora), { code: 'note.malformed_key' }, 'nor does a witness sign as a log');
});

test('cosignatures of unknown witnesses are ignored; a false one in the name of a known witness condemns the head', () => {
  const [one, other, stranger] = [newCosigner('w.example/1'), newCosigner('w.example/2'), newCosigner('w.example/1')];
  const [head, longer] = [headOf(5), headOf(6)];
  const witnessesOf = (note: string) => openCosignatures(note, [one.key, other.key]).map(({ key }) => key.name);
  assert.deepEqual(witnessesOf(head), []);
  const cosigned = head + stranger.line(head, at) + other.line(head, at) + one.line(head, at);
  assert.deepEqual(witnessesOf(cosigned), ['w.example/1', 'w.example/2']);
  assert.deepEqual(openCheckpoint(cosigned, 'log.example', [logSigner.key]).treeSize, 5);
  const ofLongerHead = one.line(longer, at);
  const asStranger = changed(stranger.line(head, at), (bytes) => bytes.set(bytesOf(ofLongerHead).subarray(0, 4)));
  for (const line of [ofLongerHead, asStranger, noteSignatureAs(ofLongerHead, 64)])
    assert.throws(() => witnessesOf(cosigned + line), { code: 'note.forged' }, line);
  assert.deepEqual(witnessesOf(longer + ofLongerHead), ['w.example/1']);
});

test('of several cosignatures of one witness the newest counts', () => {
  const cosigner = newCosigner('w');
  const head = headOf(1);
  const times = [3, 1, 2].map((day) => new Date(Date.UTC(2026, 0, day)));
  const note = head + times.map((time) => cosigner.line(head, time)).join('');
  const opened = openCosignatures(note, [cosigner.key]);
  assert.deepEqual(
    opened.map(({ cosignedAt }) => cosignedAt),
    [times[0]],
  );
});

test('any head that is cosigned at any time of the calendar opens with its time, and with no bit of the line changed', () => {
  const cosigner = newCosigner('w');
  const last = Date.UTC(9999, 11, 31, 23, 59, 59);
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 0, max: last / 1_000 }),
      fc.nat({ max: 71 * 8 + 7 }),
      (treeSize, seconds, bit) => {
        const head = headOf(treeSize);
        const line = cosigner.line(head, new Date(seconds * 1_000));
        const [opened] = openCosignatures(head + line, [cosigner.key]);
        assert.equal(opened?.cosignedAt.getTime(), seconds * 1_000);
        const altered = changed(line, (bytes) => void (bytes[4 + (bit >> 3)]! ^= 1 << (bit & 7)));
        assert.throws(() => openCosignatures(head + altered, [cosigner.key]), { code: 'note.forged' });
      },
    ),
    { numRuns: 200 },
  );
  const late = cosigner.line(headOf(1), new Date(last + 1_000));
  assert.throws(
    () => openCosignatures(headOf(1) + late, [cosigner.key]),
    { code: 'note.forged' },
    'no calendar has it',
  );
});

const bytesOf = (line: string) => new Uint8Array(Buffer.from(line.trimEnd().split(' ')[2]!, 'base64'));
/** The line cut to a signature of some bytes. */
const noteSignatureAs = (line: string, length: number) => changed(line, (bytes) => bytes.subarray(0, 4 + length));

function changed(line: string, change: (bytes: Uint8Array) => Uint8Array | void): string {
  const [dash, name] = line.split(' ');
  const bytes = bytesOf(line);
  return `${dash} ${name} ${Buffer.from(change(bytes) ?? bytes).toString('base64')}\n`;
}
