/** The keys of an archive by what a person has in hand, from the keyrings that lie at the server. */
import { createHash } from 'node:crypto';
import {
  decompressZstd,
  introductionMessage,
  isSignedBy,
  type Keyring,
  openRecordSync,
  parseRing,
  type Ring,
  RecordKind,
  splitRecord,
  parseKeyring,
} from '@holdfast/archive';
import {
  archiveErrors,
  findHeader,
  findKeyring,
  type OpenSlot,
  type ReadAccess,
  type ReadProblem,
  type ReadTools,
} from '@holdfast/archive/read';
import { CodedError } from '@holdfast/base';
import { createPasswordOpener, openCustomKeySlot, openSlot, parseKeyFile } from '@holdfast/trust';
import type { StoredKeys } from '../keys/key-store.ts';
import type { CloudShelf } from './cloud-shelf.ts';
import { takeoverErrors } from './errors.ts';

/** What opens the archive for its new computer. */
export type RingAccess =
  /** The 32 bytes of a recovery code. */
  | { readonly kind: 'recovery_code'; readonly secret: Uint8Array }
  | { readonly kind: 'password'; readonly password: string }
  /** The 32 bytes of a custom key. */
  | { readonly kind: 'custom_key'; readonly key: Uint8Array }
  /** The text of a key file (`key export`): the epochs, and none of the slots' public keys. */
  | { readonly kind: 'key_file'; readonly text: string }
  /** A whole ring: what the old computer sealed to this one, or what a release from escrow gave. */
  | { readonly kind: 'ring'; readonly ring: Ring };

/** The keys of an archive, with all that the next keyring needs of those before it. */
export type OpenedRing = {
  readonly ring: Ring;
  /** The header record and every keyring of the line that counts, by rising number. */
  readonly keyRecords: readonly Uint8Array[];
  readonly keyring: Keyring;
  readonly keyringSha256: Uint8Array;
  /** What stands against this line, as readers say it; slots are not carried on from one that is not introduced throughout. */
  readonly problems: readonly ReadProblem[];
  readonly hasCarriedSlots: boolean;
};

const tools: ReadTools = {
  decompress: decompressZstd,
  createSha256: () => createHash('sha256'),
  verify: isSignedBy,
};

/**
 * Opens the newest keyring of the line that counts (format document, section 14.2).
 *
 * @throws agent_takeover.does_not_open, agent_takeover.other_archive, agent_takeover.keyrings_missing, key_file.*,
 * archive_password.*, archive.* for what cannot be read
 */
export async function openNewestRing(
  shelf: CloudShelf,
  wanted: { readonly archiveId: Uint8Array; readonly access: RingAccess },
): Promise<OpenedRing> {
  const { archiveId, access } = wanted;
  const source = shelf.asSource();
  const problems: ReadProblem[] = [];
  const found = await findHeader(source, tools, problems);
  if (Buffer.compare(found.archiveId, archiveId) !== 0) throw takeoverErrors.other_archive();
  const opener = openerOf(access, archiveId);
  try {
    const keys = await findKeyring(source, found, { access: opener.access, tools, problems });
    const keyRecords = await lineRecords(shelf, { archiveId, line: keys.line });
    const ring = await opener.ringOf(keys.keyring, keyRecords.at(-1)!);
    if (!ring) throw takeoverErrors.does_not_open();
    const areKeysKnown = ring.slotKeys.length > 0 || keys.keyring.slots.length === 0;
    const hasCarriedSlots = areKeysKnown && areAllIntroduced(keys.keyring, archiveId);
    const carried = hasCarriedSlots ? ring : { ...ring, slotKeys: [] };
    const { keyring, sha256: keyringSha256 } = keys;
    return { ring: carried, keyRecords, keyring, keyringSha256, problems, hasCarriedSlots };
  } catch (error) {
    if (error instanceof CodedError && error.code === archiveErrors.no_keyring.code)
      throw takeoverErrors.does_not_open({}, error);
    throw error;
  } finally {
    opener.close();
  }
}

/** The kind of slot that a user's own key has, where the archive has one and no escrow: what the user chose stays so. */
export function choiceIn({ slots }: Pick<Keyring, 'slots'>): StoredKeys['choice'] {
  const kinds = new Set(slots.map(({ kind }) => kind));
  if (kinds.has(2)) return undefined;
  return kinds.has(3) ? 'password' : kinds.has(4) ? 'custom' : undefined;
}

type Opener = {
  readonly access: ReadAccess;
  /** The ring of a keyring of the line; undefined where it does not open. */
  readonly ringOf: (keyring: Keyring, record: Uint8Array) => Promise<Ring | undefined>;
  readonly close: () => void;
};

function openerOf(access: RingAccess, archiveId: Uint8Array): Opener {
  if (access.kind === 'ring') return openerOfRing(access.ring);
  if (access.kind === 'key_file') return openerOfRing(ringInKeyFile(access.text, archiveId));
  const { open, close } = slotOpenerOf(access);
  const ringOf: Opener['ringOf'] = async ({ number, slots }, record) => {
    for (const slot of slots) {
      const ringKey = await ringKeyOf(() => open(slot, { archiveId, keyringNumber: number }, 'any'));
      if (ringKey) return parseRing(openRecordSync(record, { archiveId, ring: new Map(), ringKey }).raw);
    }
    return undefined;
  };
  return { access: { openSlot: open }, ringOf, close };
}

/** A slot that is damaged, or says what its kind does not, is passed over as every reader does. */
async function ringKeyOf(open: () => ReturnType<OpenSlot>): Promise<Uint8Array | undefined> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

/** Of a ring that came by another way than a slot: it has to have the epoch of the keyring. */
function openerOfRing(ring: Ring): Opener {
  const newest = ring.epochs.at(-1)!.number;
  return {
    access: { epochs: ring.epochs.map(({ number, key }) => ({ number, key })) },
    ringOf: async (_, record) => (splitRecord(record).header.epoch === newest ? ring : undefined),
    close: () => undefined,
  };
}

function ringInKeyFile(text: string, archiveId: Uint8Array): Ring {
  const file = parseKeyFile(text);
  if (Buffer.compare(file.archiveId, archiveId) !== 0) throw takeoverErrors.other_archive();
  return { epochs: file.epochs.map(({ epoch, suite, key }) => ({ number: epoch, suite, key })), slotKeys: [] };
}

type SlotAccess = Exclude<RingAccess, { readonly kind: 'ring' | 'key_file' }>;

function slotOpenerOf(access: SlotAccess): { readonly open: OpenSlot; readonly close: () => void } {
  const close = () => undefined;
  if (access.kind === 'recovery_code') return { open: (slot, place) => openSlot(slot, place, access.secret), close };
  if (access.kind === 'custom_key') return { open: (slot, place) => openCustomKeySlot(slot, place, access.key), close };
  return createPasswordOpener(access.password);
}

/** The records of a line without a gap. @throws agent_takeover.keyrings_missing */
async function lineRecords(
  shelf: CloudShelf,
  { archiveId, line }: { readonly archiveId: Uint8Array; readonly line: readonly Uint8Array[] },
): Promise<readonly Uint8Array[]> {
  const wanted = new Map(line.map((sha256, place) => [Buffer.from(sha256).toString('hex'), place + 1]));
  const found = new Map<number, Uint8Array>();
  for (const kind of [RecordKind.header, RecordKind.keyring]) {
    const ordinals: number[] = [];
    for await (const { ordinal } of shelf.list(kind)) ordinals.push(ordinal);
    for await (const record of shelf.read(ordinals)) {
      const sha256 = createHash('sha256').update(record).digest();
      const isHeader = kind === RecordKind.header && Buffer.compare(sha256.subarray(0, 16), archiveId) === 0;
      const place = isHeader ? 0 : wanted.get(sha256.toString('hex'));
      if (place !== undefined) found.set(place, record);
    }
  }
  const records = [0, ...line.map((_, place) => place + 1)].map((place) => found.get(place));
  const isWhole = records.every((record, place) => record && (place === 0 || numberIn(record) === place));
  if (!isWhole) throw takeoverErrors.keyrings_missing();
  return records as readonly Uint8Array[];
}

function numberIn(record: Uint8Array): number {
  return parseKeyring(splitRecord(record).open).number;
}

/** Whether each writer was introduced by the one before it: then what the keyring says of other slots is signed for. */
function areAllIntroduced({ writers }: Keyring, archiveId: Uint8Array): boolean {
  return writers.slice(1).every((writer, place) => {
    const { introduction } = writer;
    const message = introductionMessage(archiveId, writer);
    return introduction !== undefined && isSignedBy(writers[place]!.publicKey, message, introduction);
  });
}
