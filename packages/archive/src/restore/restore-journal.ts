/** A plan as its execution sees it: what is left to do, where directories are, what became of entries. */
import type { RestorePlan } from './restore-plan.ts';
import { transactIn } from '../index/sqlite-transaction.ts';
import { restoreErrors } from './errors.ts';
import type { DirectoryResult, EntryResult, PieceWork, TargetDirectory } from './messages.ts';
import { directoryStates as dirs, entryStates as states } from './plan-schema.ts';

/** A row of `entries` that is to be worked on. */
export type OpenEntry = {
  readonly entry: number;
  readonly directory: number;
  readonly name: Uint8Array;
  readonly type: number;
  readonly row: Uint8Array;
  readonly xattrs: Uint8Array;
  readonly size: number;
  readonly pieces: number;
  readonly leader: number | null;
};

/** The same with what is known of where it is. */
export type PlacedEntry = OpenEntry & {
  readonly state: number;
  readonly placed_name: Uint8Array | null;
  readonly inode: string | null;
  readonly device: number | null;
};

/** A piece with its entry, as a record's reader needs it. */
export type OpenPiece = OpenEntry & { readonly piece: PieceWork };

/** Entries by number. */
type EntryRange = { readonly from?: number; readonly until?: number };

const openColumns = 'e.entry, e.directory, e.name, e.type, e.row, e.xattrs, e.size, e.pieces, e.leader';
const columns = `${openColumns}, e.state, e.placed_name, e.inode, e.device`;
const pieceColumns = 'p.position, p.offset, p.length, p.sha256';
type KnownPlace = { readonly place: TargetDirectory; readonly wasThere: boolean };

/** Columns of `openColumns`, then of `pieceColumns`. */
type PieceRow = readonly [
  number,
  number,
  Uint8Array,
  number,
  Uint8Array,
  Uint8Array,
  number,
  number,
  number | null,
  number,
  number,
  number,
  Uint8Array,
];

function pieceOfRow(row: PieceRow): OpenPiece {
  return {
    entry: row[0],
    directory: row[1],
    name: row[2],
    type: row[3],
    row: row[4],
    xattrs: row[5],
    size: row[6],
    pieces: row[7],
    leader: row[8],
    piece: { position: row[9], offset: row[10], length: row[11], sha256: row[12] },
  };
}

const cachedPlaces = 8192;
const bufferedResults = 2000;

/** The journal of one run. Results are gathered and become durable together at `flush`. */
export class RestoreJournal {
  readonly plan: RestorePlan;
  readonly #places = new Map<number, KnownPlace>();
  #results: EntryResult[] = [];
  #donePieces: { readonly ordinal: number; readonly entry: number }[] = [];
  #doneRecords: number[] = [];

  constructor(plan: RestorePlan) {
    this.plan = plan;
  }

  /** Whether an earlier run began; what failed then is tried again. */
  begin(): boolean {
    const isResumed = this.plan.get('started') === 1;
    this.#transact(() => {
      this.plan.set('started', 1);
      if (!isResumed) return;
      const { database } = this.plan;
      database.exec(
        `update entries set state = ${states.pending}, code = null, message = null where state in (${states.failed}, ${states.skipped});
         update directories set state = ${dirs.planned}, code = null, message = null where state in (${dirs.failed}, ${dirs.skipped});
         update pieces set is_done = (select state not in (${states.pending}) from entries e where e.entry = pieces.entry)`,
      );
    });
    return isResumed;
  }

  flush(): void {
    if (this.#results.length + this.#donePieces.length + this.#doneRecords.length === 0) return;
    const results = this.#results;
    const pieces = this.#donePieces;
    const records = this.#doneRecords;
    this.#results = [];
    this.#donePieces = [];
    this.#doneRecords = [];
    this.#transact(() => {
      for (const ordinal of records) this.plan.sql('update pieces set is_done = 1 where ordinal = ?').run(ordinal);
      for (const { ordinal, entry } of pieces) {
        this.plan.sql('update pieces set is_done = 1 where ordinal = ? and entry = ?').run(ordinal, entry);
      }
      for (const result of results) this.#write(result);
    });
  }

  /** Takes down what became of an entry. */
  record(result: EntryResult): void {
    this.#results.push(result);
    if (this.#results.length >= bufferedResults) this.flush();
  }

  /** The pieces that an entry has in a record are written. */
  recordPieces(ordinal: number, entry: number): void {
    this.#donePieces.push({ ordinal, entry });
    if (this.#donePieces.length >= bufferedResults) this.flush();
  }

  /** All that was wanted of a record is written. */
  recordDone(ordinal: number): void {
    this.#doneRecords.push(ordinal);
    if (this.#doneRecords.length >= bufferedResults) this.flush();
  }

  #write(result: EntryResult): void {
    const { entry, status, name, inode, device, code, message } = result;
    const state = status === 'unlinkable' ? states.pending : states[status];
    this.plan
      .sql(
        `update entries set state = ?, placed_name = coalesce(?, placed_name), inode = coalesce(?, inode),
           device = coalesce(?, device), code = ?, message = ? where entry = ?`,
      )
      .run(
        state,
        name ?? null,
        inode === undefined ? null : String(inode),
        device ?? null,
        code ?? null,
        message ?? null,
        entry,
      );
    // What was just written or named is known by its records already.
    if (status === 'written' || status === 'placed') return;
    this.plan.sql('update pieces set is_done = ? where entry = ?').run(state === states.pending ? 0 : 1, entry);
  }

  /** Directories of one depth whose parents are there, some at a time. */
  directoriesToMake(depth: number, after: number, limit: number) {
    return this.plan
      .sql(
        `select directory, parent, name from directories
         where state = ${dirs.planned} and depth = ? and directory > ? order by directory limit ?`,
      )
      .all(depth, after, limit) as unknown as { directory: number; parent: number; name: Uint8Array }[];
  }

  deepest(): number {
    return (this.plan.sql('select max(depth) as n from directories').get()?.['n'] as number | null) ?? 0;
  }

  /** Takes down directories; `isSettling` says whether one gets the recorded metadata. */
  recordDirectories(results: readonly DirectoryResult[], isSettling: (result: DirectoryResult) => boolean): void {
    const stateOf = { made: dirs.made, existed: dirs.taken, skipped: dirs.skipped, failed: dirs.failed };
    this.#transact(() => {
      for (const result of results) {
        const { directory, name, status, inode, device, code, message } = result;
        this.plan
          .sql(
            `update directories set state = ?, placed_name = ?, inode = ?, device = ?,
               is_settling = ? and (length(row) > 0 or ?), code = ?, message = ? where directory = ?`,
          )
          .run(
            stateOf[status],
            name,
            String(inode),
            device,
            isSettling(result) ? 1 : 0,
            status === 'made' ? 1 : 0,
            code ?? null,
            message ?? null,
            directory,
          );
      }
    });
  }

  /** Takes down what the target itself is. @throws restore.folder_replaced when an earlier run had another one */
  recordRoot({ inode, device }: DirectoryResult, isSettling: boolean): void {
    const known = this.plan.sql('select inode from directories where directory = 0').get()?.['inode'];
    if (known === String(inode)) return;
    if (known !== null) throw restoreErrors.folder_replaced();
    this.plan
      .sql(
        `update directories set state = ${dirs.taken}, placed_name = name, inode = ?, device = ?,
           is_settling = ? and length(row) > 0 where directory = 0`,
      )
      .run(String(inode), device, isSettling ? 1 : 0);
  }

  /** What becomes of a directory whose parent is not there: the same as of that. */
  withoutParent(directory: number, parent: number, name: Uint8Array): DirectoryResult {
    const state = this.plan.sql('select state from directories where directory = ?').get(parent)?.['state'];
    const nothing = { directory, name, inode: 0n, device: 0, wasEmpty: false };
    if (state === dirs.skipped) return { ...nothing, status: 'skipped' };
    const { code, message } = restoreErrors.folder_missing();
    return { ...nothing, status: 'failed', code, message };
  }

  /** What lies in directories that are not there is not restored either. */
  giveUpOrphans(): void {
    const { code, message } = restoreErrors.folder_missing();
    this.#transact(() => {
      for (const [from, to] of [
        [dirs.skipped, states.skipped],
        [dirs.failed, states.failed],
      ] as const) {
        this.plan
          .sql(
            `update entries set state = ?, code = ?, message = ? where state = ${states.pending}
             and directory in (select directory from directories where state = ?)`,
          )
          .run(to, to === states.failed ? code : null, to === states.failed ? message : null, from);
      }
      this.plan.database.exec(
        `update pieces set is_done = 1 where entry in (select entry from entries where state in (${states.skipped}, ${states.failed}))`,
      );
    });
  }

  /** Where a directory is; undefined where it is not there. */
  placeOf(directory: number): TargetDirectory | undefined {
    return this.#placeOf(directory)?.place;
  }

  /** Whether the directory was there before the restore. */
  wasThere(directory: number): boolean {
    return this.#placeOf(directory)?.wasThere === true;
  }

  #placeOf(directory: number): KnownPlace | undefined {
    const known = this.#places.get(directory);
    if (known) return known;
    const row = this.plan
      .sql('select parent, placed_name, inode, device, state from directories where directory = ?')
      .get(directory);
    if (row === undefined || row['inode'] === null || row['placed_name'] === null) return undefined;
    if (row['state'] === dirs.failed || row['state'] === dirs.skipped) return undefined;
    const above = directory === 0 ? [] : this.placeOf(row['parent'] as number)?.names;
    if (above === undefined) return undefined;
    const names = directory === 0 ? [] : [...above, row['placed_name'] as Uint8Array];
    const place = { directory, names, inode: BigInt(row['inode'] as string), device: row['device'] as number };
    const found = { place, wasThere: row['state'] === dirs.taken };
    if (this.#places.size >= cachedPlaces) this.#places.clear();
    this.#places.set(directory, found);
    return found;
  }

  /** Entries of a state by rising number; `where` narrows it in SQL. */
  entries(state: number, after: number, limit: number, where = 'true'): PlacedEntry[] {
    return this.plan
      .sql(`select ${columns} from entries e where e.state = ? and e.entry > ? and ${where} order by e.entry limit ?`)
      .all(state, after, limit) as unknown as PlacedEntry[];
  }

  entry(entry: number): PlacedEntry | undefined {
    return this.plan.sql(`select ${columns} from entries e where e.entry = ?`).get(entry) as PlacedEntry | undefined;
  }

  failureOf(entry: number): { readonly state: number; readonly code: string | null; readonly message: string | null } {
    return this.plan.sql('select state, code, message from entries where entry = ?').get(entry) as never;
  }

  /** Pieces of an entry by rising position. */
  piecesOf(entry: number, from: number, limit: number): PieceWork[] {
    return this.plan
      .sql(`select ${pieceColumns} from pieces p where entry = ? and position >= ? order by position limit ?`)
      .all(entry, from, limit) as unknown as PieceWork[];
  }

  /** Bytes of an entry's pieces: its size but for the holes. */
  dataBytesOf(entry: number): number {
    return this.plan.sql('select coalesce(sum(length), 0) as n from pieces where entry = ?').get(entry)?.[
      'n'
    ] as number;
  }

  /** These pieces of an entry are where they belong. */
  donePieces(entry: number, pieces: readonly PieceWork[]): void {
    this.#transact(() => {
      const done = this.plan.sql('update pieces set is_done = 1 where entry = ? and position = ?');
      for (const { position } of pieces) done.run(entry, position);
    });
  }

  /** How many pieces of an entry are not there yet. */
  leftPieces(entry: number): number {
    return this.plan.sql('select count(*) as n from pieces where entry = ? and is_done = 0').get(entry)?.[
      'n'
    ] as number;
  }

  /** Records that are needed still, in storage order. */
  ordinals(after: number, limit: number): number[] {
    return this.plan
      .sql('select distinct ordinal from pieces where ordinal > ? and is_done = 0 order by ordinal limit ?')
      .all(after, limit)
      .map((row) => row['ordinal'] as number);
  }

  /** What is needed of a record, by rising entry and position; of the entries from one on to before another. */
  piecesIn(ordinal: number, { from = 0, until = Number.MAX_SAFE_INTEGER }: EntryRange = {}): OpenPiece[] {
    const statement = this.plan.sql(
      `select ${openColumns}, ${pieceColumns} from pieces p join entries e on e.entry = p.entry
       where p.ordinal = ? and p.entry >= ? and p.entry < ? and p.is_done = 0 and e.state = ${states.pending}
       order by p.entry, p.position`,
    );
    // Rows as objects would have as many shapes as there are rows, and cost more than all the rest.
    statement.setReturnArrays(true);
    return (statement.all(ordinal, from, until) as unknown as PieceRow[]).map(pieceOfRow);
  }

  /** The entry behind the first `count` of those that need something of a record; undefined where there are no more. */
  entryBehind(ordinal: number, from: number, count: number): number | undefined {
    const row = this.plan
      .sql(
        `select distinct entry from pieces where ordinal = ? and entry >= ? and is_done = 0
         order by entry limit 1 offset ?`,
      )
      .get(ordinal, from, count);
    return row?.['entry'] as number | undefined;
  }

  /** Makes a name that cannot be linked to its leader a file of its own, and the leader of the names left. */
  promote(entry: OpenEntry): void {
    const { leader } = entry;
    if (leader === null) return;
    this.#transact(() => {
      this.plan
        .sql(
          `insert or ignore into pieces (ordinal, entry, position, offset, length, sha256)
           select ordinal, ?, position, offset, length, sha256 from pieces where entry = ?`,
        )
        .run(entry.entry, leader);
      this.plan
        .sql('update entries set leader = null, pieces = (select pieces from entries where entry = ?) where entry = ?')
        .run(leader, entry.entry);
      this.plan
        .sql(`update entries set leader = ? where leader = ? and state = ${states.pending}`)
        .run(entry.entry, leader);
    });
  }

  /** Directories to be given their metadata, the deepest first. */
  directoriesToSettle(limit: number) {
    return this.plan
      .sql(
        `select directory, row, xattrs from directories where is_settling = 1 and state in (${dirs.made}, ${dirs.taken})
         order by depth desc, directory desc limit ?`,
      )
      .all(limit) as unknown as { directory: number; row: Uint8Array; xattrs: Uint8Array }[];
  }

  recordSettled(results: readonly EntryResult[]): void {
    this.#transact(() => {
      for (const { entry: directory, code, message } of results) {
        this.plan
          .sql('update directories set is_settling = 0, code = ?, message = ? where directory = ?')
          .run(code ?? null, message ?? null, directory);
      }
    });
  }

  countOf(state: number): number {
    return this.plan.sql('select count(*) as n from entries where state = ?').get(state)?.['n'] as number;
  }

  #transact(work: () => void): void {
    transactIn(this.plan.database, work);
  }
}
