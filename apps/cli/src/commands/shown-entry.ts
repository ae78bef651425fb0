import { bytesText, timeText } from '../figures.ts';

/** An entry of the archive as the agent shows it. */
export type ShownEntry = {
  readonly path: string;
  readonly type: string;
  readonly sizeBytes?: number;
  readonly modifiedAt?: string;
  readonly mode?: string;
  readonly owner?: string;
  readonly isDeleted: boolean;
  readonly isFuzzy: boolean;
};

/** An entry as one row of a table. */
export function entryRow(entry: ShownEntry): readonly string[] {
  const { path, type, sizeBytes, modifiedAt, mode = '-', owner = '-' } = entry;
  const marks = [entry.isDeleted ? ' (deleted)' : '', entry.isFuzzy ? ' (changed while it was read)' : ''].join('');
  const size = sizeBytes === undefined ? '-' : bytesText(sizeBytes);
  return [type, mode, owner, size, timeText(modifiedAt), `${path}${type === 'directory' ? '/' : ''}${marks}`];
}
