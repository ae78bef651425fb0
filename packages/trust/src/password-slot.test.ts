import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { argon2Sync, createHmac, hkdfSync } from 'node:crypto';
import { test } from 'node:test';
import { CodedError, systemRandom } from '@holdfast/base';
import fc from 'fast-check';
import { importHpkeKey } from './hpke.ts';
import {
  createPasswordOpener,
  defaultPasswordCost,
  parsePasswordParameters,
  type PasswordCost,
  passwordCostBounds,
  passwordSlotKind,
  preparePasswordSlot,
} from './password-slot.ts';
import { encodeParameters, parseParameters } from './slot-parameters.ts';
import { openSlotWithKey, prepareSlot, rewrapSlot, type Slot, wrapSlot } from './slots.ts';

const archiveId = new Uint8Array(16).fill(0xa1);
const place = { archiveId, keyringNumber: 3 };
const ringKey = new Uint8Array(32).fill(0x52);
const password = 'correct horse battery';
const least: PasswordCost = { memoryKibibytes: 19_456, passes: 1, lanes: 1 };
const kibibytesOf = ({ memoryKibibytes }: PasswordCost) => memoryKibibytes;

async function newSlot(of = password, cost = least) {
  return wrapSlot(await preparePasswordSlot(archiveId, of, systemRandom, cost), place, ringKey, systemRandom);
}

const open = (slot: Slot, typed = password, at = place) => createPasswordOpener(typed).open(slot, at);
const flip = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at]! ^ 1);
const parametersOf = (salt: Uint8Array, memory: number, passes: number, lanes: number) =>
  encodeParameters([salt, memory, passes, lanes]);

/** Of the format document, with nothing of password-slot.ts: any cost, whatever the bounds say. */
function deriveByDocument(slotId: Uint8Array, salt: Uint8Array, cost: PasswordCost, typed = password) {
  const { memoryKibibytes: memory, passes, lanes: parallelism } = cost;
  const secret = argon2Sync('argon2id', { message: typed, nonce: salt, memory, passes, parallelism, tagLength: 32 });
  const info = 'holdfast v1 password slot';
  return new Uint8Array(hkdfSync('sha256', secret, Buffer.concat([archiveId, slotId]), info, 32));
}

test('a password opens its slot and gives the ring key', async () => {
  const { slot } = await newSlot();
  assert.deepEqual(await open(slot), ringKey);
});

test('slot key, commitment and parameters are those of the format document', async () => {
  const cost = { memoryKibibytes: 20_000, passes: 2, lanes: 3 };
  const { slot, publicKey } = await newSlot(password, cost);
  const { salt, ...stated } = parsePasswordParameters(slot);
  assert.deepEqual([stated, salt.length, slot.kind], [cost, 16, passwordSlotKind]);
  assert.deepEqual(slot.parameters, parametersOf(salt, 20_000, 2, 3));
  const slotKey = deriveByDocument(slot.slotId, salt, cost);
  assert.deepEqual(importHpkeKey(slotKey).publicKey, publicKey);
  assert.deepEqual(openSlotWithKey(slot, place, slotKey), ringKey);
  const commitment = createHmac('sha256', slotKey).update('holdfast v1 slot commitment');
  assert.deepEqual(Buffer.from(slot.commitment), commitment.update(archiveId).update(slot.slotId).digest());
});

test('the Argon2id of the crypto library is that of RFC 9106', () => {
  const parameters = { parallelism: 4, tagLength: 32, memory: 32, passes: 3 };
  const secrets = { secret: Buffer.alloc(8, 3), associatedData: Buffer.alloc(12, 4) };
  const tag = argon2Sync('argon2id', {
    message: Buffer.alloc(32, 1),
    nonce: Buffer.alloc(16, 2),
    ...parameters,
    ...secrets,
  });
  assert.equal(tag.toString('hex'), '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');
});

test('what new slots cost is within the bounds, and not the least of them', async () => {
  for (const name of ['memoryKibibytes', 'passes', 'lanes'] as const) {
    const [low, high] = passwordCostBounds[name];
    assert.ok(defaultPasswordCost[name] >= low && defaultPasswordCost[name] <= high, name);
  }
  assert.ok(kibibytesOf(defaultPasswordCost) > 10 * kibibytesOf(least));
  const { slot } = await preparePasswordSlot(archiveId, password, systemRandom);
  assert.deepEqual({ ...parsePasswordParameters(slot), salt: 0 }, { ...defaultPasswordCost, salt: 0 });
});

test('another password, archive, slot and kind do not open it; the right ones do', async () => {
  const { slot } = await newSlot();
  const { salt } = parsePasswordParameters(slot);
  const opener = createPasswordOpener(password);
  const ofParameters = (...values: Parameters<typeof parametersOf>) =>
    opener.open({ ...slot, parameters: parametersOf(...values) }, place);
  const refused = [
    await open(slot, 'Correct horse battery'),
    await open(slot, `${password} `),
    await open(slot, 'x'),
    await ofParameters(flip(salt, 0), 19_456, 1, 1),
    await ofParameters(flip(salt, 15), 19_456, 1, 1),
    await ofParameters(salt, 19_457, 1, 1),
    await ofParameters(salt, 19_456, 2, 1),
    await ofParameters(salt, 19_456, 1, 2),
    await opener.open({ ...slot, kind: 1 }, place),
    await opener.open({ ...slot, kind: 4 }, place),
    await opener.open({ ...slot, commitment: new Uint8Array() }, place),
  ];
  for (let at = 0; at < 32; at += 1)
    refused.push(await opener.open({ ...slot, commitment: flip(slot.commitment, at) }, place));
  for (let at = 0; at < 16; at += 1) {
    refused.push(await opener.open(slot, { ...place, archiveId: flip(archiveId, at) }));
    refused.push(await opener.open({ ...slot, slotId: flip(slot.slotId, at) }, place));
  }
  assert.deepEqual(new Set(refused), new Set([undefined]));
  for (const _ of refused) assert.deepEqual(await opener.open({ ...slot }, { ...place }), ringKey);
});

test('a password is the same however its accents were typed, and another one is not', async () => {
  const composed = 'pass\u{e9} compos\u{e9} \u{1f511}';
  const { slot } = await newSlot(composed);
  const same = [composed, composed.normalize('NFD')];
  const other = [
    composed.normalize('NFD').replaceAll('\u{301}', ''),
    composed.normalize('NFD').replaceAll('\u{301}', '\u{300}'),
  ];
  for (const typed of same) assert.deepEqual(await open(slot, typed), ringKey);
  for (const typed of other) assert.equal(await open(slot, typed), undefined);
  // Compatibility forms are other characters: NFC keeps them apart.
  assert.equal(await open((await newSlot('\u{fb01}nd my password')).slot, 'find my password'), undefined);
});

test('a new password has at least 12 characters, any 1 to 1,024 bytes, and none half a character', async () => {
  const make = (of: string) => preparePasswordSlot(archiveId, of, systemRandom, least);
  const refused = [
    [() => make('elevencharx'), 'archive_password.too_short'],
    // Eleven characters, whether accents are put on or not.
    [() => make('\u{e9}levencharx'.normalize('NFD')), 'archive_password.too_short'],
    [() => make(''), 'archive_password.too_long'],
    [() => make('x'.repeat(1_025)), 'archive_password.too_long'],
    [() => make(`${'\u{e9}'.repeat(512)}x`), 'archive_password.too_long'],
    [() => make('half a character \u{d83d}'), 'archive_password.not_text'],
  ] as const;
  for (const [making, code] of refused) await assert.rejects(making, { code });
  for (const [typed, code] of [
    ['', 'archive_password.too_long'],
    ['x'.repeat(1_025), 'archive_password.too_long'],
    ['\u{dd11}', 'archive_password.not_text'],
  ] as const)
    assert.throws(() => createPasswordOpener(typed), { code });
  const accepted = [
    'twelve chars',
    '\u{1f511}'.repeat(12),
    'x'.repeat(1_024),
    '\u{e9}'.repeat(512),
    '\u{1f511}'.repeat(256),
  ];
  for (const typed of accepted) assert.deepEqual(await open((await newSlot(typed)).slot, typed), ringKey);
  for (const typed of ['x', 'y'.repeat(1_024), '\u{1f511}'])
    assert.equal(typeof createPasswordOpener(typed).open, 'function');
});

test('a damaged wrap is called corrupt, not a wrong password', async () => {
  const { slot } = await newSlot();
  const wrap = slot.wrappedRingKey;
  const opener = createPasswordOpener(password);
  const refused = [...Array.from(wrap, (_, at) => flip(wrap, at)), wrap.subarray(1), new Uint8Array()];
  for (const wrappedRingKey of refused)
    await assert.rejects(opener.open({ ...slot, wrappedRingKey }, place), { code: 'slot.corrupt' });
  await assert.rejects(opener.open(slot, { ...place, keyringNumber: 4 }), { code: 'slot.corrupt' });
  for (const _ of refused)
    assert.deepEqual(await opener.open({ ...slot, wrappedRingKey: wrap.slice() }, place), ringKey);
});

test('a slot whose cost is out of bounds is refused, also where the password fits it', async () => {
  const salt = systemRandom(16);
  const slotId = systemRandom(16);
  /** A slot that would open: made by the format document for whatever cost. */
  const fitting = (cost: PasswordCost) => {
    const parameters = parametersOf(salt, cost.memoryKibibytes, cost.passes, cost.lanes);
    const slotKey = deriveByDocument(slotId, salt, cost);
    const prepared = prepareSlot(archiveId, { slotId, kind: passwordSlotKind, parameters }, slotKey);
    return wrapSlot(prepared, place, ringKey, systemRandom).slot;
  };
  const outside: readonly PasswordCost[] = [
    { ...least, memoryKibibytes: 19_455 },
    { ...least, memoryKibibytes: 64 },
    { ...least, passes: 11 },
    { ...least, lanes: 5 },
    { memoryKibibytes: 40, passes: 1, lanes: 5 },
  ];
  const inside: readonly PasswordCost[] = [
    least,
    { ...least, memoryKibibytes: 19_457 },
    { ...least, passes: 10 },
    { ...least, lanes: 4 },
    { memoryKibibytes: 20_000, passes: 2, lanes: 2 },
  ];
  for (const cost of outside)
    await assert.rejects(open(fitting(cost)), { code: 'slot.bad_parameters' }, JSON.stringify(cost));
  for (const cost of inside) assert.deepEqual(await open(fitting(cost)), ringKey, JSON.stringify(cost));
});

test('parameters are bounded from both sides before any work is done', async () => {
  const salt = new Uint8Array(16);
  const { slot } = await newSlot();
  const { parameters: _, ...bare } = slot;
  const outside: readonly (Uint8Array | undefined)[] = [
    undefined,
    new Uint8Array(),
    parametersOf(salt, 0, 1, 1),
    parametersOf(salt, 19_455, 1, 1),
    parametersOf(salt, 1_048_577, 1, 1),
    parametersOf(salt, Number.MAX_SAFE_INTEGER, 1, 1),
    parametersOf(salt, 1_048_576, 0, 1),
    parametersOf(salt, 1_048_576, 11, 1),
    parametersOf(salt, 1_048_576, 2 ** 32, 1),
    parametersOf(salt, 1_048_576, 10, 0),
    parametersOf(salt, 1_048_576, 10, 5),
    parametersOf(salt.subarray(1), 19_456, 1, 1),
    parametersOf(new Uint8Array(17), 19_456, 1, 1),
    encodeParameters([salt, 19_456, 1]),
    encodeParameters([salt, 19_456, 1, 1, 1]),
    ...Array.from({ length: slot.parameters!.length }, (_, at) => slot.parameters!.subarray(0, at)),
  ];
  const before = process.cpuUsage();
  for (const parameters of outside)
    await assert.rejects(open({ ...bare, ...(parameters && { parameters }) }), { code: 'slot.bad_parameters' });
  const { user, system } = process.cpuUsage(before);
  // The least that a bound lets through takes 50 ms, the most that is tried here 20 s.
  assert.ok(user + system < 1_000_000, `${user + system} us of CPU`);
  const inside = outside.map((_, index) => {
    const [memory, passes, lanes] = [19_456 + index, 1 + (index % 10), 1 + (index % 4)];
    return parametersOf(salt, index === 0 ? 1_048_576 : memory, passes, lanes);
  });
  for (const parameters of inside) assert.equal(parsePasswordParameters({ ...bare, parameters }).salt.length, 16);
});

test('parameters of any bytes are read within the bounds or refused', () => {
  const number = fc.oneof(fc.nat(2_000_000), fc.nat(12), fc.maxSafeNat());
  const written = fc.tuple(fc.uint8Array({ minLength: 15, maxLength: 17 }), number, number, number);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    written.map((values) => encodeParameters(values)),
  );
  fc.assert(
    fc.property(bytes, (parameters) => {
      try {
        const read = parsePasswordParameters({ kind: passwordSlotKind, parameters });
        for (const name of ['memoryKibibytes', 'passes', 'lanes'] as const) {
          const [low, high] = passwordCostBounds[name];
          assert.ok(read[name] >= low && read[name] <= high, name);
        }
      } catch (error) {
        assert.ok(error instanceof CodedError && error.code === 'slot.bad_parameters', String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});

test('a forged slot whose commitment does not hold is no oracle: it opens nothing, even where its wrap would', async () => {
  const salt = systemRandom(16);
  const slotId = systemRandom(16);
  const parameters = parametersOf(salt, 19_456, 1, 1);
  const slotKey = deriveByDocument(slotId, salt, least);
  const prepared = prepareSlot(archiveId, { slotId, kind: passwordSlotKind, parameters }, slotKey);
  const { slot } = wrapSlot(prepared, place, ringKey, systemRandom);
  const opener = createPasswordOpener(password);
  for (const commitment of [
    new Uint8Array(32),
    systemRandom(32),
    flip(slot.commitment, 31),
    slot.commitment.subarray(1),
  ]) {
    assert.equal(await opener.open({ ...slot, commitment }, place), undefined);
    // Nor does what it says of the wrap tell a right password from a wrong one.
    assert.equal(await opener.open({ ...slot, commitment, wrappedRingKey: systemRandom(80) }, place), undefined);
    assert.equal(await open({ ...slot, commitment }, 'another password'), undefined);
  }
  for (let run = 0; run < 4; run += 1) assert.deepEqual(await opener.open({ ...slot }, place), ringKey);
});

test('one password is worked out for 16 different slots at most, and for one slot once however often it comes', async () => {
  const { slot, publicKey } = await newSlot();
  const [salt] = parseParameters(slot.parameters, 4);
  const opener = createPasswordOpener(password);
  const forge = (mark: number): Slot => ({ ...slot, parameters: parametersOf(flip(salt!, mark), 19_456, 1, 1) });
  assert.deepEqual(await opener.open(slot, place), ringKey);
  for (let mark = 0; mark < 15; mark += 1) assert.equal(await opener.open(forge(mark), place), undefined);
  await assert.rejects(opener.open(forge(15), place), { code: 'archive_password.too_many_slots' });
  const before = process.cpuUsage();
  for (let keyringNumber = 4; keyringNumber < 104; keyringNumber += 1) {
    const carried = rewrapSlot(slot, { archiveId, keyringNumber }, { ringKey, publicKey }, systemRandom);
    assert.deepEqual(await opener.open(carried, { archiveId, keyringNumber }), ringKey);
  }
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 2_000_000, `${user + system} us of CPU`);
});

test('more slots are tried where more are asked for, at so many times the cost', async () => {
  const { slot } = await newSlot();
  const forge = (...cost: readonly [number, number]): Slot => ({
    ...slot,
    parameters: parametersOf(systemRandom(16), ...cost, 1),
  });
  const frugal = createPasswordOpener(password, 1);
  assert.equal(await frugal.open(forge(19_456, 1), place), undefined);
  await assert.rejects(frugal.open(slot, place), { code: 'archive_password.too_many_slots' });
  const patient = createPasswordOpener(password, 18);
  for (let mark = 0; mark < 17; mark += 1) assert.equal(await patient.open(forge(19_456, 1), place), undefined);
  assert.deepEqual(await patient.open(slot, place), ringKey);
  await assert.rejects(patient.open(forge(19_456, 1), place), { code: 'archive_password.too_many_slots' });
  // Of the greatest cost eight fit, which wait behind a small one and are not worked out.
  const twice = createPasswordOpener(password, 32);
  const opening = [twice.open(slot, place)];
  for (let mark = 0; mark < 8; mark += 1) opening.push(twice.open(forge(1_048_576, 10), place));
  const outcomes = Promise.allSettled(opening);
  twice.close();
  const reasons = (await outcomes).map((outcome) => outcome.status === 'rejected' && String(outcome.reason));
  assert.equal(reasons.filter((reason) => /closed/.test(String(reason))).length, 8);
  assert.match(String(reasons.at(-1)), /more different password slots/);
  for (const tries of [0, -1, 1.5, Number.NaN])
    assert.throws(() => createPasswordOpener(password, tries), /at least one/);
});

test('without effort only a slot opens whose salt and cost were worked out before', async () => {
  const { slot } = await newSlot();
  const opener = createPasswordOpener(password);
  await assert.rejects(opener.open(slot, place, 'none'), { code: 'archive_password.too_many_slots' });
  assert.deepEqual(await opener.open(slot, place), ringKey);
  assert.deepEqual(await opener.open(slot, place, 'none'), ringKey);
  const other = (await newSlot()).slot;
  await assert.rejects(opener.open(other, place, 'none'), { code: 'archive_password.too_many_slots' });
  assert.deepEqual(await opener.open(other, place), ringKey);
});

test('slots are worked out one at a time, and all together cost no more than four of the greatest', async () => {
  const { slot } = await newSlot();
  const [salt] = parseParameters(slot.parameters, 4);
  const opener = createPasswordOpener(password);
  const costly = (mark: number): Slot => ({ ...slot, parameters: parametersOf(flip(salt!, mark), 1_048_576, 10, 1) });
  // Nothing of this is worked out: the opener is closed while the first waits its turn behind a small one.
  const first = opener.open(slot, place);
  const waiting = [0, 1, 2].map((mark) => opener.open(costly(mark), place));
  const beyond = opener.open(costly(3), place);
  const outcomes = Promise.allSettled([first, ...waiting]);
  const refused = assert.rejects(beyond, { code: 'archive_password.too_many_slots' });
  opener.close();
  // Nor does the first one open, whose password was being worked out.
  for (const { status } of await outcomes) assert.equal(status, 'rejected');
  await refused;
  await assert.rejects(opener.open(slot, place), /closed/);
  const again = createPasswordOpener(password);
  assert.deepEqual(await Promise.all([again.open(slot, place), again.open(slot, place)]), [ringKey, ringKey]);
});

/** Limits of address space in KiB. What a program has left within the least that it runs in is below 1 GiB. */
const limits = [800_000, 1_500_000, 2_200_000, 2_900_000];

test(
  'a slot that takes more memory than there is, is an error of its own',
  { skip: process.platform === 'win32' && 'needs a shell with ulimit' },
  (t) => {
    const script = `
      import { createPasswordOpener } from ${JSON.stringify(import.meta.resolve('./password-slot.ts'))};
      import { encodeParameters } from ${JSON.stringify(import.meta.resolve('./slot-parameters.ts'))};
      const parameters = encodeParameters([new Uint8Array(16), Number(process.argv[1]), 1, 1]);
      const none = { slotId: new Uint8Array(16), commitment: new Uint8Array(32), wrappedRingKey: new Uint8Array(80) };
      const place = { archiveId: new Uint8Array(16), keyringNumber: 1 };
      const opening = createPasswordOpener('a password').open({ ...none, kind: 3, parameters }, place);
      console.log(await opening.catch((error) => error.code));`;
    const run = (memory: number, limit: number) => {
      const args = [process.execPath, '--input-type=module', '-e', script, String(memory)];
      const limited = ['-c', `ulimit -c 0; ulimit -v ${limit}; exec "$@"`, 'sh', ...args];
      return spawnSync('sh', limited, { encoding: 'utf8', timeout: 60_000 }).stdout.trim();
    };
    const limit = limits.find((one) => run(19_456, one) === 'undefined');
    if (limit === undefined) return t.skip('this program does not run in so little address space here');
    assert.equal(run(1_048_576, limit), 'archive_password.no_memory');
  },
);
