/**
 * What the agent knows besides the archive's index: backup sets, destinations, and how each set stands at each.
 *
 * SQLite; all changes are on stable storage when a method returns. The process that has it open is the only agent of
 * this state folder: the operating system lets go of the lock when it ends, however it ends.
 */
import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { asStateError } from '@holdfast/archive';
import { defineErrors } from '@holdfast/base';
import type { KnownDamage } from '../verify/known-damage.ts';
import { BackupSet, type BoundSet, type NumberedSet } from '../sets/backup-set.ts';

/** Failures of opening the state. */
export const stateErrors = defineErrors('state', {
  in_use: ['conflict', 'Another agent is running on this state folder'],
});

/** A destination as it was added. */
export type DestinationConfig = {
  readonly destinationId: number;
  /** Shown and typed: the folder, or the address. */
  readonly name: string;
  readonly kind: 'folder' | 'cloud';
  /** Of folders: where, absolute. */
  readonly folder?: string;
};

/** How a set stands at a destination, as it was last known. */
export type StoredStanding = {
  readonly setNumber: number;
  readonly destinationId: number;
  /** Wall clock, milliseconds since 1970, of the last moment at which all of the set was durable there. */
  readonly completeAtMs?: number;
};

/** A destination had less than it acknowledged: commit numbers, and when that was noticed, milliseconds since 1970. */
export type DestinationLoss = { readonly acknowledged: number; readonly found: number; readonly atMs: number };

/** A set's stored blocks that a destination lacks which it is bound to. */
export type SetGap = {
  readonly setNumber: number;
  readonly destinationId: number;
  /** Number of the newest commit when it was found: later ones say it. */
  readonly markedAtHead: number;
  /** The set's files were read again on account of it. */
  readonly isReadAgain: boolean;
};

const sqliteBusy = 5;

const schema = `
  create table if not exists facts (key text primary key, value any) strict, without rowid;
  create table if not exists sets (number integer primary key autoincrement, definition text not null) strict;
  create table if not exists destinations (
    destination_id integer primary key autoincrement,
    kind text not null,
    name text not null unique,
    folder text
  ) strict;
  create table if not exists standings (
    set_number integer not null,
    destination_id integer not null,
    complete_at_ms integer,
    primary key (set_number, destination_id)
  ) strict, without rowid;
  create table if not exists gaps (
    set_number integer not null,
    destination_id integer not null,
    marked_at_head integer not null,
    is_read_again integer not null,
    primary key (set_number, destination_id)
  ) strict, without rowid;
  create table if not exists removed_sets (number integer primary key, destinations text not null) strict;
`;

/** The open database of an agent. Everything that writes @throws state.disk_full */
export class AgentDatabase {
  readonly #db: DatabaseSync;
  readonly #file: string;

  /** @throws state.in_use while another process has it open */
  constructor(file: string) {
    this.#file = file;
    this.#db = new DatabaseSync(file, { timeout: 0 });
    try {
      // Not WAL: its first write would open files that the lock does not cover.
      this.#db.exec('pragma locking_mode = exclusive; pragma synchronous = full; begin exclusive; commit');
    } catch (error) {
      this.#db.close();
      if ((error as { errcode?: number }).errcode === sqliteBusy) throw stateErrors.in_use({ file }, error);
      throw asStateError(error, file);
    }
    chmodSync(file, 0o600);
    this.#db.exec(schema);
  }

  close(): void {
    this.#db.close();
  }

  #write(sql: string, ...values: readonly SQLInputValue[]): number {
    try {
      return Number(this.#db.prepare(sql).run(...values).lastInsertRowid);
    } catch (error) {
      throw asStateError(error, this.#file);
    }
  }

  fact(key: string): string | number | undefined {
    const value = this.#db.prepare('select value from facts where key = ?').get(key)?.['value'];
    return typeof value === 'string' || typeof value === 'number' ? value : undefined;
  }

  setFact(key: string, value: string | number | undefined): void {
    if (value === undefined) this.#write('delete from facts where key = ?', key);
    else this.#write('insert or replace into facts values (?, ?)', key, value);
  }

  /** The sets by rising number. */
  sets(): readonly NumberedSet[] {
    const rows = this.#db.prepare('select number, definition from sets order by number').all();
    return rows.map((row) => ({
      ...BackupSet.parse(JSON.parse(row['definition'] as string)),
      number: row['number'] as number,
    }));
  }

  addSet(set: BackupSet): NumberedSet {
    return { ...set, number: this.#write('insert into sets (definition) values (?)', JSON.stringify(set)) };
  }

  /** Puts sets with the numbers that they have in the archive, in place of all there are. */
  adoptSets(sets: readonly NumberedSet[]): void {
    this.#write('delete from sets');
    for (const { number, ...set } of sets)
      this.#write('insert into sets (number, definition) values (?, ?)', number, JSON.stringify(set));
  }

  changeSet({ number, ...set }: NumberedSet): void {
    this.#write('update sets set definition = ? where number = ?', JSON.stringify(set), number);
  }

  removeSet(number: number): void {
    const bound = this.sets().find((set) => set.number === number)?.destinations;
    // Its versions stay where they are: what is bound to some destinations is not needed at others later.
    if (bound) this.#write('insert or replace into removed_sets values (?, ?)', number, JSON.stringify(bound));
    this.#write('delete from sets where number = ?', number);
    this.#write('delete from standings where set_number = ?', number);
  }

  /** What sets are bound to, those included that were removed and had a binding. */
  boundSets(): readonly BoundSet[] {
    const removed = this.#db.prepare('select number, destinations from removed_sets order by number').all();
    return [
      ...this.sets().map(({ number, destinations }) => ({ number, destinations })),
      ...removed.map((row) => ({
        number: row['number'] as number,
        destinations: JSON.parse(row['destinations'] as string) as readonly string[],
      })),
    ];
  }

  gaps(): readonly SetGap[] {
    const rows = this.#db.prepare('select * from gaps').all();
    return rows.map((row) => ({
      setNumber: row['set_number'] as number,
      destinationId: row['destination_id'] as number,
      markedAtHead: row['marked_at_head'] as number,
      isReadAgain: row['is_read_again'] === 1,
    }));
  }

  putGap({ setNumber, destinationId, markedAtHead, isReadAgain }: SetGap): void {
    const sql = 'insert or replace into gaps values (?, ?, ?, ?)';
    this.#write(sql, setNumber, destinationId, markedAtHead, isReadAgain ? 1 : 0);
  }

  closeGap(setNumber: number, destinationId: number): void {
    this.#write('delete from gaps where set_number = ? and destination_id = ?', setNumber, destinationId);
  }

  /** The destinations in the order they were added. */
  destinations(): readonly DestinationConfig[] {
    const rows = this.#db.prepare('select * from destinations order by destination_id').all();
    return rows.map((row) => ({
      destinationId: row['destination_id'] as number,
      name: row['name'] as string,
      kind: row['kind'] as DestinationConfig['kind'],
      ...(typeof row['folder'] === 'string' && { folder: row['folder'] }),
    }));
  }

  addDestination(config: Omit<DestinationConfig, 'destinationId'>): DestinationConfig {
    const sql = 'insert into destinations (kind, name, folder) values (?, ?, ?)';
    return { ...config, destinationId: this.#write(sql, config.kind, config.name, config.folder ?? null) };
  }

  removeDestination(destinationId: number): void {
    this.#write('delete from destinations where destination_id = ?', destinationId);
    this.#write('delete from standings where destination_id = ?', destinationId);
    this.setFact(`acknowledged ${destinationId}`, undefined);
    this.setFact(`loss ${destinationId}`, undefined);
    this.setDamage(destinationId, undefined);
    this.#write('delete from gaps where destination_id = ?', destinationId);
  }

  standings(): readonly StoredStanding[] {
    const rows = this.#db.prepare('select * from standings').all();
    return rows.map((row) => ({
      setNumber: row['set_number'] as number,
      destinationId: row['destination_id'] as number,
      ...(typeof row['complete_at_ms'] === 'number' && { completeAtMs: row['complete_at_ms'] }),
    }));
  }

  /** Number of the newest commit that a destination acknowledged; 0 before the first. */
  acknowledged(destinationId: number): number {
    return Number(this.fact(`acknowledged ${destinationId}`) ?? 0);
  }

  setAcknowledged(destinationId: number, commitNumber: number): void {
    if (this.acknowledged(destinationId) !== commitNumber) this.setFact(`acknowledged ${destinationId}`, commitNumber);
  }

  /** The last time a destination had less than it had acknowledged. */
  loss(destinationId: number): DestinationLoss | undefined {
    const text = this.fact(`loss ${destinationId}`);
    return typeof text === 'string' ? (JSON.parse(text) as DestinationLoss) : undefined;
  }

  noteLoss(destinationId: number, loss: DestinationLoss): void {
    this.setFact(`loss ${destinationId}`, JSON.stringify(loss));
  }

  /** What verifying found damaged at a destination and could not mend. */
  damage(destinationId: number): KnownDamage | undefined {
    const text = this.fact(`damage ${destinationId}`);
    return typeof text === 'string' ? (JSON.parse(text) as KnownDamage) : undefined;
  }

  setDamage(destinationId: number, damage: KnownDamage | undefined): void {
    this.setFact(`damage ${destinationId}`, damage && JSON.stringify(damage));
  }

  setComplete(setNumber: number, destinationId: number, completeAtMs: number): void {
    const sql = 'insert or replace into standings values (?, ?, ?)';
    this.#write(sql, setNumber, destinationId, Math.round(completeAtMs));
  }
}
