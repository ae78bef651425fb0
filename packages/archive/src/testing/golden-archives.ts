import type { GoldenArchive } from './golden-begin.ts';
import { makeDamaged } from './golden-damaged.ts';
import { makeEverything } from './golden-everything.ts';
import { makeHistory } from './golden-history.ts';
import { makeListsAndMoves } from './golden-lists.ts';
import { makeSlots } from './golden-slots.ts';
import { makeWriters } from './golden-writers.ts';

/** Makes each golden archive, byte for byte the same every time; by the name of its folder. */
export const goldenArchives: Readonly<Record<string, () => Promise<GoldenArchive>>> = {
  everything: makeEverything,
  'lists-and-moves': makeListsAndMoves,
  history: makeHistory,
  writers: makeWriters,
  slots: makeSlots,
  damaged: makeDamaged,
};
