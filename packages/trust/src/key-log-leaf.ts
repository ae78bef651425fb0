import { defineErrors } from '@holdfast/base';
import { canonicalJson, parseCanonicalJson, type Json } from './canonical-json.ts';
import { takeoverProofKinds, type TakeoverProofKind } from './takeover.ts';

/** Failures of reading a leaf of a key log; `details.field` is what is wrong. */
export const keyLogLeafErrors = defineErrors('key_log_leaf', {
  malformed: ['invalid', 'The text is not a leaf of a key log'],
});

/** What every leaf says: when it was added (RFC 3339, UTC, milliseconds), and 16 random bytes (base64url). */
type About = { readonly at: string; readonly nonce: string };

/** A device enrolled, with a key of its own. */
export type KeyRegistered = About & {
  readonly kind: 'key_registered';
  readonly deviceUid: string;
  /** Ed25519, 32 bytes, base64url. */
  readonly publicKey: string;
};

/** A device's key was ended for good: the device was deauthorised. */
export type KeyEnded = About & {
  readonly kind: 'key_ended';
  readonly deviceUid: string;
  readonly publicKey: string;
  /** The device's archive; null where it has none. */
  readonly archiveId: string | null;
};

/** A slot of a keyring, as the server sees it: what it is for follows from its kind (format document, section 5). */
export type LoggedSlot = { readonly slotId: string; readonly slotKind: number };

/** A keyring was offered for an archive, and fits it: all slots that open it. Said before it takes effect. */
export type KeyringAdded = About & {
  readonly kind: 'keyring_added';
  readonly archiveId: string;
  readonly keyringNumber: number;
  /** Of the whole record, hex. */
  readonly keyringSha256: string;
  readonly slots: readonly LoggedSlot[];
};

/** The heads of all of a tenant's archives on one day, as the root of a tree over them. */
export type DailyHeads = About & {
  readonly kind: 'daily_heads';
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly archives: number;
  /** Root over `archiveHeadHash` of each, by rising archive id; hex. */
  readonly root: string;
};

/** The keys to which the tenant's escrow slots are sealed were set, or followed those before. */
export type EscrowKeysSet = About & {
  readonly kind: 'escrow_keys_set';
  /** That of the document. */
  readonly number: number;
  /** `escrowKeysSha256` of the document. */
  readonly sha256: string;
};

/**
 * A computer takes another one's archive over: it has proved that it may, and reads it (`begun`); or the archive is its own
 * from then on, and the other one writes no more (`done`).
 */
export type ArchiveTakeover = About & {
  readonly kind: 'archive_takeover';
  readonly step: 'begun' | 'done';
  readonly archiveId: string;
  /** The computer whose archive it was. */
  readonly deviceUid: string;
  readonly newDeviceUid: string;
  /** The key of the new computer. Ed25519, 32 bytes, base64url. */
  readonly newDeviceKey: string;
  readonly proof: TakeoverProofKind;
  /** Of the text of the proof, hex. */
  readonly proofSha256: string;
  /** The key of the archive's next writer; null before it is done. */
  readonly writerKey: string | null;
};

/** One leaf of a tenant's key log. A new kind is a new member here, with a reader and subjects of its own. */
export type KeyLogLeaf = KeyRegistered | KeyEnded | KeyringAdded | DailyHeads | EscrowKeysSet | ArchiveTakeover;

/** A leaf before it has time and nonce. */
export type KeyLogFact<Leaf extends KeyLogLeaf = KeyLogLeaf> = Leaf extends KeyLogLeaf
  ? Omit<Leaf, keyof About>
  : never;

/** Names of a kind that a leaf may have. */
export type KeyLogKind = KeyLogLeaf['kind'];

/** No keyring has more slots (format document, section 15). */
const mostSlots = 64;

type Field = (value: Json | undefined) => boolean;

const isText =
  (shape: RegExp): Field =>
  (value) =>
    typeof value === 'string' && shape.test(value);
const isCount =
  (least: number): Field =>
  (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least;

const uuid = isText(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const hex32 = isText(/^[0-9a-f]{64}$/);
const day: Field = (value) => typeof value === 'string' && isInstant(`${value}T00:00:00.000Z`);
const instant: Field = (value) => typeof value === 'string' && isInstant(value);
// The last digit carries the bits that are left over, and they are zero: each key has one spelling.
const key32 = isText(/^[\w-]{42}[AEIMQUYcgkosw048]$/);
const nonce16 = isText(/^[\w-]{21}[AQgw]$/);

const about = { at: instant, nonce: nonce16 };
const slot = { slotId: isText(/^[0-9a-f]{32}$/), slotKind: isCount(0) };

/** The members of each kind: these and no others. */
const shapes: Readonly<Record<KeyLogKind, Readonly<Record<string, Field>>>> = {
  key_registered: { ...about, deviceUid: uuid, publicKey: key32 },
  key_ended: { ...about, deviceUid: uuid, publicKey: key32, archiveId: (value) => value === null || uuid(value) },
  keyring_added: {
    ...about,
    archiveId: uuid,
    keyringNumber: isCount(1),
    keyringSha256: hex32,
    slots: (value) => Array.isArray(value) && value.length <= mostSlots && value.every((one: Json) => fits(one, slot)),
  },
  daily_heads: {
    ...about,
    day,
    archives: isCount(1),
    root: hex32,
  },
  escrow_keys_set: { ...about, number: isCount(1), sha256: hex32 },
  archive_takeover: {
    ...about,
    step: isText(/^(begun|done)$/),
    archiveId: uuid,
    deviceUid: uuid,
    newDeviceUid: uuid,
    newDeviceKey: key32,
    proof: (value) => takeoverProofKinds.some((kind) => kind === value),
    proofSha256: hex32,
    writerKey: (value) => value === null || key32(value),
  },
};

/** The text of a leaf: canonical JSON (RFC 8785). @throws key_log_leaf.malformed, canonical_json.not_representable */
export function formatKeyLogLeaf(leaf: KeyLogLeaf): string {
  const text = canonicalJson(leaf);
  parseKeyLogLeaf(text);
  return text;
}

/**
 * Reads the text of a leaf that anybody may have written: canonical JSON, a known kind, exactly its members.
 *
 * @throws key_log_leaf.malformed
 */
export function parseKeyLogLeaf(text: string): KeyLogLeaf {
  const members = membersOf(text);
  const { kind, ...rest } = members;
  if (typeof kind !== 'string' || !Object.hasOwn(shapes, kind)) throw keyLogLeafErrors.malformed({ field: 'kind' });
  const shape = shapes[kind as KeyLogKind];
  const field = wrongField(rest, shape);
  if (field !== undefined) throw keyLogLeafErrors.malformed({ kind, field });
  return members as unknown as KeyLogLeaf;
}

function membersOf(text: string): { readonly [name: string]: Json } {
  let value: Json;
  try {
    value = parseCanonicalJson(text);
  } catch (error) {
    throw keyLogLeafErrors.malformed({}, error);
  }
  if (!isMembers(value)) throw keyLogLeafErrors.malformed();
  return value;
}

function isMembers(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fits(value: Json, shape: Readonly<Record<string, Field>>): boolean {
  return isMembers(value) && wrongField(value, shape) === undefined;
}

/** The first member that is missing, not allowed or not of its shape. */
function wrongField(
  members: { readonly [name: string]: Json },
  shape: Readonly<Record<string, Field>>,
): string | undefined {
  const unknown = Object.keys(members).find((name) => !Object.hasOwn(shape, name));
  return (
    unknown ??
    Object.keys(shape).find((name) => !shape[name]!(Object.hasOwn(members, name) ? members[name] : undefined))
  );
}

function isInstant(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return false;
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text;
}
