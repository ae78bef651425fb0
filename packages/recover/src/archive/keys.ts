import { RecoverError } from '../errors.ts';
import {
  DRAFT_REVISION,
  type Epochs,
  introductionHolds,
  type Header,
  type Keyring,
  readHeader,
  readKeyring,
} from '../format/keyring.ts';
import { kinds, type RecordFrame } from '../format/record.ts';
import { readKeyFile, type Secret } from '../format/secret.ts';
import type { Findings } from './findings.ts';
import { openNewestRing } from './open-ring.ts';
import { quietly } from './quietly.ts';
import type { Shelf } from './shelf.ts';
import { nameSlots, type SlotSecret, takeSlotSecret } from './slot-keys.ts';

/** What the keys of an archive came to: epochs, and the keyrings whose writers may be believed, newest first. */
export type ArchiveKeys = {
  readonly archiveId: Buffer;
  readonly epochs: Epochs;
  readonly keyrings: readonly Keyring[];
  /** The keyring the secret opened; undefined with a key file. */
  readonly opened: Keyring | undefined;
};

const KEYRINGS_TRIED = 10_000;

/**
 * Finds header and keyrings and opens what the secret opens (§14.1, §14.2).
 *
 * @throws archive.no_header, archive.unknown_format, archive.no_keyring, secret.invalid, secret.other_archive, secret.opens_nothing, secret.not_all_tried, secret.too_costly
 */
export function findKeys(
  shelf: Shelf,
  { secret, passwordTries }: { readonly secret: Secret; readonly passwordTries?: number },
  findings: Findings,
): ArchiveKeys {
  const frames = gatherFrames(shelf);
  const headers = readHeaders(frames.headers, findings);
  if ('keyFile' in secret) return keysFromFile(secret.keyFile, { headers, frames: frames.keyrings }, findings);
  const slotSecret = takeSlotSecret(secret, {
    archives: headers.length,
    ...(passwordTries !== undefined && { passwordTries }),
  });
  if (headers.length === 0) throw new RecoverError('archive.no_header', {});
  const seen: Keyring[] = [];
  for (const header of headers) {
    const { archiveId } = header;
    const keyrings = readKeyrings(frames.keyrings, header, findings);
    seen.push(...keyrings);
    const slotKeyOf = slotSecret.keysFor({ archiveId, keyrings }, findings);
    const ring = openNewestRing(keyrings, { archiveId, slotKeyOf, findings });
    if (ring === undefined) continue;
    checkFormat(header);
    return { archiveId, keyrings, ...ring };
  }
  checkFormat(headers[0]!);
  throw nothingOpens(seen, slotSecret);
}

/** Why a secret opened nothing: what was not tried, or could not be, is said beside what there are slots for. */
function nothingOpens(keyrings: readonly Keyring[], { tries }: SlotSecret): RecoverError {
  if (keyrings.length === 0) return new RecoverError('archive.no_keyring', { keyrings: 0 });
  const { workedOut, tooCostly, notTried } = tries();
  const facts = {
    keyrings: keyrings.length,
    slotsFor: nameSlots(keyrings.flatMap((keyring) => keyring.slotKinds)),
    ...(tooCostly > 0 && { slotsTooCostly: tooCostly }),
    ...(notTried > 0 && { slotsNotTried: notTried }),
  };
  if (notTried > 0) return new RecoverError('secret.not_all_tried', facts);
  return new RecoverError(tooCostly > 0 && workedOut === 0 ? 'secret.too_costly' : 'secret.opens_nothing', facts);
}

function keysFromFile(
  text: string,
  found: { readonly headers: readonly Header[]; readonly frames: readonly RecordFrame[] },
  findings: Findings,
): ArchiveKeys {
  const { archiveId, epochs } = readKeyFile(text);
  const header = found.headers.find((one) => one.archiveId.equals(archiveId));
  if (header === undefined && found.headers.length > 0) {
    const archives = found.headers.map((one) => one.archiveId.toString('hex'));
    throw new RecoverError('secret.other_archive', { keyFile: archiveId.toString('hex'), archives });
  }
  if (header === undefined) throw new RecoverError('archive.no_header', {});
  checkFormat(header);
  const keyrings = readKeyrings(found.frames, header, findings);
  if (keyrings.length === 0) {
    findings.add({
      severity: 'unproven',
      code: 'keyring.missing',
      message: 'no keyring holds: who may sign commits is not known, and signatures are not checked',
    });
  }
  return { archiveId, epochs, keyrings, opened: undefined };
}

function gatherFrames(shelf: Shelf): {
  readonly headers: readonly RecordFrame[];
  readonly keyrings: readonly RecordFrame[];
} {
  const headers = new Map<string, RecordFrame>();
  const keyrings = new Map<string, RecordFrame>();
  const take = (frame: RecordFrame): void => {
    const into = frame.kind === kinds.header ? headers : keyrings;
    const name = frame.whole.subarray(0, RECORD_NAME_BYTES).toString('latin1') + frame.signature.toString('latin1');
    if (frame.kind <= kinds.keyring && into.size < KEYRINGS_TRIED && !into.has(name)) into.set(name, { ...frame });
  };
  for (const { frame } of shelf.keyFiles()) take(frame);
  for (const place of shelf.index.ofKinds([kinds.header, kinds.keyring])) {
    const frame = shelf.read(place);
    if (frame !== undefined) take(frame);
  }
  return { headers: [...headers.values()], keyrings: [...keyrings.values()] };
}

const RECORD_NAME_BYTES = 52;

function readHeaders(frames: readonly RecordFrame[], findings: Findings): readonly Header[] {
  const headers = frames.flatMap((frame) => {
    const header = quietly(() => readHeader(frame));
    if (header === undefined) noteRefused(findings, 'header');
    return header === undefined ? [] : [header];
  });
  if (headers.length > 1) {
    const ids = headers.map((header) => header.archiveId.toString('hex')).join(', ');
    findings.add({
      severity: 'notice',
      code: 'header.several',
      message: `the folder holds headers of several archives: ${ids}`,
    });
  }
  return headers;
}

function checkFormat(header: Header): void {
  if (header.format === 1 && header.draft === DRAFT_REVISION) return;
  throw new RecoverError('archive.unknown_format', { format: header.format, draft: header.draft ?? 'none' });
}

/** Valid keyrings, newest first; those with one number are all kept, and named. */
function readKeyrings(frames: readonly RecordFrame[], header: Header, findings: Findings): readonly Keyring[] {
  const keyrings: Keyring[] = [];
  for (const frame of frames) {
    const keyring = quietly(() => readKeyring(frame, header));
    if (keyring === undefined) noteRefused(findings, 'keyring');
    else if (!keyrings.some((other) => other.hash.equals(keyring.hash))) keyrings.push(keyring);
  }
  keyrings.sort((a, b) => b.number - a.number || Buffer.compare(a.hash, b.hash));
  for (const [index, keyring] of keyrings.entries()) {
    checkLink(keyring, keyrings.slice(index + 1), findings);
    checkIntroductions(keyring, header.archiveId, findings);
  }
  return keyrings;
}

function checkLink(keyring: Keyring, older: readonly Keyring[], findings: Findings): void {
  if (older[0]?.number === keyring.number) {
    findings.add({
      severity: 'notice',
      code: 'keyring.twice',
      message: `there are two signed keyrings of number ${keyring.number}`,
    });
  }
  const before = older.filter((other) => other.number === keyring.number - 1);
  if (before.length === 0 || before.some((other) => other.hash.equals(keyring.previousHash))) return;
  findings.add({
    severity: 'notice',
    code: 'keyring.unlinked',
    message: `keyring ${keyring.number} does not follow the keyring before it`,
  });
}

function checkIntroductions(keyring: Keyring, archiveId: Buffer, findings: Findings): void {
  for (const writer of keyring.writers) {
    if (introductionHolds(keyring, writer, archiveId) !== false) continue;
    const message = `keyring ${keyring.number}: the introduction of writer ${writer.number} is not signed by the writer before it`;
    findings.add({ severity: 'notice', code: 'keyring.bad_introduction', message });
  }
}

function noteRefused(findings: Findings, what: string): void {
  findings.add({
    severity: 'notice',
    code: `${what}.refused`,
    message: `a ${what} record is not well formed or not rightly signed`,
  });
}
