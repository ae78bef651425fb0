import { archiveErrors } from '../errors.ts';
import { maxRawBytes, readReference, type Reference, writeReference } from './extent.ts';
import { defineFields, FieldReader, FieldWriter, type WithUnknown } from './fields.ts';
import { readTime, type Time, writeTime } from './time.ts';
import { type MapEntry, readEntries, writeEntries } from './tree-node.ts';

/** What a commit shows without a key. */
export type CommitOpen = WithUnknown & {
  /** From 1. */
  readonly number: number;
  /** SHA-256 of the whole commit record before; zeros for number 1. */
  readonly previous: Uint8Array;
  /** Number of the newest checkpoint, this commit included; 0 where there is none. */
  readonly checkpoint: number;
  /** Who lacks one of these cannot read the archive. */
  readonly readFeatures: readonly string[];
  /** Who lacks one of these must not write to it. */
  readonly writeFeatures: readonly string[];
};

/** Another time for an earlier commit. */
export type TimeCorrection = { readonly commit: number; readonly time: Time };

/** What a commit seals. */
export type CommitSealed = WithUnknown & {
  readonly time: Time;
  readonly corrections: readonly TimeCorrection[];
  /** The newest keyring: its number and the SHA-256 of its whole record. */
  readonly keyring: { readonly number: number; readonly sha256: Uint8Array };
  /** Last verified head of the key log: a signed note. */
  readonly keyLogHead?: string;
  /** With it the commit is a checkpoint. */
  readonly root?: Reference;
  /** By rising key. */
  readonly puts: readonly MapEntry[];
};

const openFields = defineFields('commit', {
  1: 'must',
  2: 'must',
  3: 'must',
  4: 'must repeated',
  5: 'may repeated',
});

const sealedFields = defineFields('commit, sealed', {
  1: 'must',
  2: 'may repeated',
  3: 'must',
  4: 'may',
  5: 'must',
  6: 'must',
});

/** Reads the open part of a commit. @throws archive.corrupt, archive.unknown_field */
export function parseCommitOpen(open: Uint8Array): CommitOpen {
  const fields = new FieldReader(open, openFields);
  let [number, checkpoint]: (number | undefined)[] = [];
  let previous: Uint8Array | undefined;
  const readFeatures: string[] = [];
  const writeFeatures: string[] = [];
  while (fields.next()) {
    if (fields.tag === 1) number = fields.number();
    else if (fields.tag === 2) previous = fields.exactly(32);
    else if (fields.tag === 3) checkpoint = fields.number();
    else (fields.tag === 4 ? readFeatures : writeFeatures).push(fields.text());
  }
  const commit = {
    number: fields.required(number, 1),
    previous: fields.required(previous, 2),
    checkpoint: fields.required(checkpoint, 3),
  };
  if (commit.number < 1 || commit.checkpoint > commit.number) throw fields.value.corrupt('its numbers cannot be');
  return { ...commit, readFeatures, writeFeatures, ...fields.kept() };
}

/** The open part of a commit. */
export function encodeCommitOpen(commit: CommitOpen): Uint8Array<ArrayBuffer> {
  const fields = new FieldWriter(openFields, commit.unknown);
  fields.number(1, commit.number).bytes(2, commit.previous).number(3, commit.checkpoint);
  for (const feature of commit.readFeatures) fields.text(4, feature);
  for (const feature of commit.writeFeatures) fields.text(5, feature);
  return fields.finish();
}

type SealedDraft = { -readonly [K in keyof CommitSealed]?: CommitSealed[K] } & { corrections: TimeCorrection[] };

const readSealed: Readonly<Record<number, (commit: SealedDraft, fields: FieldReader) => void>> = {
  1: (commit, fields) => (commit.time = fields.time()),
  2: (commit, { value }) => void commit.corrections.push({ commit: value.u64(), time: readTime(value) }),
  3: (commit, { value }) => (commit.keyring = { number: value.u32(), sha256: value.take(32) }),
  4: (commit, fields) => (commit.keyLogHead = fields.text()),
  5: (commit, { value }) => (commit.root = readReference(value)),
  6: (commit, { value }) => (commit.puts = readEntries(value)),
};

/** Reads the raw bytes of a commit's sealed part. Values are views. @throws archive.corrupt, archive.unknown_field */
export function parseCommitSealed(raw: Uint8Array): CommitSealed {
  const fields = new FieldReader(raw, sealedFields);
  const draft: SealedDraft = { corrections: [] };
  while (fields.next()) readSealed[fields.tag]!(draft, fields);
  return {
    ...draft,
    time: fields.required(draft.time, 1),
    keyring: fields.required(draft.keyring, 3),
    puts: draft.puts ?? [],
    ...fields.kept(),
  };
}

/** The raw bytes of a commit's sealed part. @throws archive.too_large above 4 MiB. */
export function encodeCommitSealed(commit: CommitSealed): Uint8Array<ArrayBuffer> {
  const { keyring, root, puts } = commit;
  const fields = new FieldWriter(sealedFields, commit.unknown).time(1, commit.time);
  for (const { commit: number, time } of commit.corrections) {
    fields.built(2, (writer) => writeTime(writer.u64(number), time));
  }
  fields.built(3, (writer) => writer.u32(keyring.number).put(keyring.sha256)).text(4, commit.keyLogHead);
  if (root !== undefined) fields.built(5, (writer) => writeReference(writer, root));
  if (puts.length > 0) fields.built(6, (writer) => writeEntries(writer, puts));
  const raw = fields.finish();
  if (raw.length > maxRawBytes) throw archiveErrors.too_large({ what: 'commit', bytes: raw.length });
  return raw;
}
