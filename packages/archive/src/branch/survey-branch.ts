/** How much a branch has that the line has not. */
import { BlockLookup } from '../index/block-table.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { streamExtents } from '../index/stream-extents.ts';
import { type Extent, isHole } from '../format/extent.ts';
import { contentOf, type Row } from '../format/row.ts';
import { isSameVersion } from '../backup/same-version.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import type { BranchVersion } from './branch-versions.ts';

/** A version of a branch beside the line. */
export type ComparedVersion = BranchVersion & {
  /** From the root, the volume first; the name alone where its folder is not known. */
  readonly names: readonly Uint8Array[];
  /** The line has this version, too. */
  readonly isInLine: boolean;
};

/** Says of each version whether the line has it. */
export async function* comparedVersions(
  versions: AsyncIterable<BranchVersion>,
  line: ArchiveState,
): AsyncGenerator<ComparedVersion> {
  for await (const version of versions) {
    const names = [...(version.folders ?? []).map(({ name }) => name), version.name];
    const known = version.folders ? await line.history(names) : [];
    yield { ...version, names, isInLine: known.some(({ row }) => isSameVersion(row, version.row)) };
  }
}

/** A branch in figures. */
export type BranchSurvey = {
  /** Files that have versions there which the line has not. */
  readonly files: number;
  /** Those versions. */
  readonly versions: number;
  /** Their bytes, as restored. */
  readonly versionBytes: number;
  /** Bytes of pieces that no record of the line has: what taking it in stores. */
  readonly newBytes: number;
};

/** Adds up what a branch has that the line has not. */
export async function surveyBranch(
  versions: AsyncIterable<BranchVersion>,
  branch: { readonly load: LoadRecord },
  line: { readonly state: ArchiveState; readonly index: LocalIndex },
): Promise<BranchSurvey> {
  const known = new BlockLookup(line.index.path);
  const files = new Set<string>();
  const counted = new Set<string>();
  const sums = { versions: 0, versionBytes: 0, newBytes: 0 };
  const addNew = ({ sha256, length }: Extent) => {
    const piece = Buffer.from(sha256).toString('base64');
    if (counted.has(piece)) return;
    counted.add(piece);
    if (known.find(sha256).length === 0) sums.newBytes += length;
  };
  try {
    for await (const { names, row, isInLine } of comparedVersions(versions, line.state)) {
      if (isInLine) continue;
      files.add(names.map((name) => Buffer.from(name).toString('latin1')).join('/'));
      sums.versions++;
      sums.versionBytes += contentOf(row)?.size ?? 0;
      for await (const extent of piecesOf(row, branch.load)) addNew(extent);
    }
  } finally {
    known.close();
  }
  return { files: files.size, ...sums };
}

async function* piecesOf({ streams = [] }: Row, load: LoadRecord): AsyncGenerator<Extent> {
  for (const stream of streams) {
    for await (const extent of streamExtents(stream, load)) if (!isHole(extent)) yield extent;
  }
}
