/** Opening a record for what is wanted of it: pieces whose own hashes hold, and what became of the others. */
import { hash } from 'node:crypto';
import { CodedError } from '@holdfast/base';
import { release } from '../crypto/release.ts';
import { equalBytes } from '../format/cursor.ts';
import { type OpenedRecord, type OpenKeys, openUnhashedSync } from '../format/seal.node.ts';
import { restoreErrors } from './errors.ts';
import type { EntryResult, PartResult, PieceWork, ProvenPieces, RecordWork, UnopenedRecord } from './messages.ts';

/** What a record gave. The bytes of the pieces are views: `letGo` empties them and gives their memory back. */
export type OpenedPieces = {
  readonly proven: ProvenPieces;
  readonly damagedWhole: readonly EntryResult[];
  readonly damagedParts: readonly PartResult[];
  readonly letGo: () => void;
};

/** Opens a record and proves what is wanted of it, piece by piece; a record that does not open is a result. */
export function openPieces(bytes: Uint8Array, work: RecordWork, keys: OpenKeys): OpenedPieces | UnopenedRecord {
  const { ordinal } = work;
  let opened: OpenedRecord;
  try {
    opened = openUnhashedSync(bytes, keys);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { ordinal, code: error.code, message: error.message };
  }
  if (opened.header.ordinal !== ordinal) return unopened(ordinal);
  const prove = proverOf(opened.raw);
  const { code, message } = restoreErrors.piece_damaged();
  const damagedWhole: EntryResult[] = [];
  const damagedParts: PartResult[] = [];
  const whole = work.whole.flatMap(({ piece, ...entry }) => {
    const proven = prove(piece);
    if (!proven) damagedWhole.push({ entry: entry.entry, status: 'failed', code, message });
    return proven ? [{ ...entry, bytes: proven }] : [];
  });
  const parts = work.parts.flatMap(({ pieces, ...file }) => {
    const proven = pieces.flatMap((piece) => {
      const piecesBytes = prove(piece);
      return piecesBytes ? [{ position: piece.position, bytes: piecesBytes }] : [];
    });
    if (proven.length === pieces.length) return [{ ...file, pieces: proven }];
    damagedParts.push({ ordinal, entry: file.entry, code, message });
    return [];
  });
  return { proven: { ordinal, whole, parts }, damagedWhole, damagedParts, letGo: () => release(opened.raw) };
}

/** A record that is not where it was said to be. */
export function unopened(ordinal: number): UnopenedRecord {
  const { code, message } = restoreErrors.record_missing();
  return { ordinal, code, message };
}

/** Whether the bytes are those of a piece. */
export function isPiece(bytes: Uint8Array, piece: PieceWork): boolean {
  return bytes.length === piece.length && equalBytes(hash('sha256', bytes, 'buffer'), piece.sha256);
}

/** Gives the bytes of a piece if its hash holds. A block that many files have is hashed once. */
function proverOf(raw: Uint8Array): (piece: PieceWork) => Uint8Array | undefined {
  let whole: Uint8Array | undefined;
  return (piece) => {
    const bytes = raw.subarray(piece.offset, piece.offset + piece.length);
    if (bytes.length !== raw.length) return isPiece(bytes, piece) ? bytes : undefined;
    whole ??= hash('sha256', raw, 'buffer');
    return bytes.length === piece.length && equalBytes(whole, piece.sha256) ? bytes : undefined;
  };
}
