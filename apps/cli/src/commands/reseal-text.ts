import { bytesText, timeText } from '../figures.ts';

/** What of older epochs is needed, by kind of record. */
type Needed = {
  readonly dataRecords: number;
  readonly dataBytes: number;
  readonly lists: number;
  readonly nodes: number;
};

/** What sealing the past again did, or would do. */
export type ResealResult = {
  readonly dryRun: boolean;
  readonly epoch: number;
  readonly isAnyOld: boolean;
  readonly planned?: Needed;
  readonly records?: number;
  readonly bytes?: number;
  readonly lists?: number;
  readonly left?: Needed;
  readonly liveSet?: number;
  readonly heldUpBy?: { readonly destination: string; readonly why: 'branch' | 'away' };
};

/** What is known of the last time, as the agent says it. */
export type LastReseal = {
  readonly begunEpoch?: number;
  readonly epoch?: number;
  readonly left?: number;
  readonly at?: string;
};

const keptThere =
  'Every destination keeps the older records until it removes what is not needed, never before its hold or a legal hold has ended; until then old ways in still open them there. No destination removes them by itself in this version: a folder is closed by adding a new one (holdfast destination add), removing the old one and deleting it.';

/** What a reseal did, or would do, for people. */
export function resealText(result: ResealResult): string {
  const { dryRun, epoch, isAnyOld, planned } = result;
  if (!isAnyOld || !planned) return `Nothing is of an epoch before ${epoch}: there is nothing to seal again.`;
  if (dryRun) return `Nothing has changed. This would be sealed again in the newest epoch: ${neededText(planned)}.`;
  const { records = 0, bytes = 0, lists = 0 } = result;
  return [
    `Sealed again: ${count(records, 'record')} of data with ${bytesText(bytes)}, ${count(lists, 'list')}, and the tree of names.`,
    ...leftLines(result),
    ...(result.liveSet === undefined
      ? heldUpLines(result)
      : [`Live set ${result.liveSet} leaves the older records out.`]),
    keptThere,
  ].join('\n');
}

function neededText({ dataRecords, dataBytes, lists, nodes }: Needed): string {
  return `${count(dataRecords, 'record')} of data with at most ${bytesText(dataBytes)}, ${count(lists, 'list')}, ${count(nodes, 'node')} of the tree of names`;
}

function leftLines({ left }: ResealResult): readonly string[] {
  const number = left ? left.dataRecords + left.lists + left.nodes : 0;
  if (number === 0) return [];
  return [
    `${count(number, 'record')} could not be sealed again: no destination that is there gives them whole. Old ways in open them still.`,
    '  What to do: connect the destinations that are away, holdfast verify --full, then holdfast key reseal again',
  ];
}

function heldUpLines({ heldUpBy }: ResealResult): readonly string[] {
  if (!heldUpBy) return [];
  const { destination, why } = heldUpBy;
  const reason =
    why === 'away'
      ? `${destination} is away, and may have commits of an earlier life of this computer`
      : `${destination} has commits of an earlier life of this computer that are no part of the newest state`;
  const remedy = why === 'away' ? 'connect it' : 'decide about them: holdfast branch list';
  return [`No live set was written: ${reason}.`, `  What to do: ${remedy}, then holdfast key reseal again`];
}

/** What `key list` says of it. */
export function lastResealLines({ begunEpoch, epoch, left = 0, at }: LastReseal): readonly string[] {
  const done =
    epoch === undefined || at === undefined
      ? []
      : [
          left === 0
            ? `What was written before epoch ${epoch} was sealed again on ${timeText(at)}: old ways in open only the older records that destinations keep still.`
            : `What was written before epoch ${epoch} was sealed again on ${timeText(at)}, but for ${count(left, 'record')}. What to do: holdfast key reseal`,
        ];
  const begun =
    begunEpoch === undefined
      ? []
      : [
          `Sealing again what was written before epoch ${begunEpoch} has not come to its end. What to do: holdfast key reseal`,
        ];
  return [...done, ...begun];
}

function count(number: number, what: string): string {
  return number === 1 ? `one ${what}` : `${number.toLocaleString('en')} ${what}s`;
}
