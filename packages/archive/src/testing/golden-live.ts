import { type LiveRange, packLiveRange, type Stretch } from '../format/live.ts';
import { sequenceOf, writerOf } from '../format/ordinal.ts';
import type { ArchiveMaker, MadeRecord } from './archive-maker.ts';

/** Ranges over every record made so far, a writer each: all needed but `gone`, and headers and keyrings never named. */
export function liveRanges(maker: ArchiveMaker, gone: readonly MadeRecord[]): LiveRange[] {
  return maker.writers.flatMap(({ number }) => {
    const made = maker.records.filter((record) => writerOf(record.ordinal) === number);
    const last = Math.max(...made.map(({ ordinal }) => sequenceOf(ordinal)));
    const named = made.filter(
      (record) => record.kind !== 'header' && record.kind !== 'keyring' && !gone.includes(record),
    );
    return made.length === 0 ? [] : [packLiveRange(number, { first: 0, last }, stretchesOf(named))];
  });
}

function stretchesOf(records: readonly MadeRecord[]): Stretch[] {
  const stretches: { first: number; last: number }[] = [];
  for (const sequence of records.map(({ ordinal }) => sequenceOf(ordinal)).toSorted((a, b) => a - b)) {
    const open = stretches.at(-1);
    if (open?.last === sequence - 1) open.last = sequence;
    else stretches.push({ first: sequence, last: sequence });
  }
  return stretches;
}
