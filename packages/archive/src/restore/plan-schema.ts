/** The tables of a plan, which are also the journal of its execution. A file of another number belongs to another version. */
export const planSchemaNumber = 1;

/** What is known of a directory's place. `taken`: it was there before. */
export const directoryStates = { planned: 0, made: 1, taken: 2, skipped: 3, failed: 4, settled: 5 } as const;

/**
 * Where an entry stands. `written`: whole, under its temporary name. `placed`, `identical`: there, under `placed_name`.
 * `damaged`: planning found that it cannot be restored.
 */
export const entryStates = {
  pending: 0,
  written: 1,
  placed: 2,
  identical: 3,
  skipped: 4,
  failed: 5,
  damaged: 6,
} as const;

/** SQL that makes an empty plan. */
export const planSchemaSql = `
  create table meta (key text primary key, value any) strict, without rowid;

  -- Directories below the target, each after its parent. Number 0 is the target itself.
  create table directories (
    directory integer primary key,
    parent integer not null,
    name blob not null,
    row blob not null,                 -- own row, without streams; empty: the archive says nothing of it
    xattrs blob not null,
    depth integer not null,            -- 0 is the target itself
    state integer not null default 0,
    placed_name blob,
    inode text,                        -- decimal: inodes are unsigned 64-bit
    device integer,
    is_settling integer not null default 0, -- its metadata is given at the end
    code text,
    message text
  ) strict;
  create unique index directories_by_name on directories (parent, name);
  create index directories_by_state on directories (state, depth, directory);
  create index directories_to_settle on directories (depth, directory) where is_settling = 1;
  insert into directories (directory, parent, name, row, xattrs, depth) values (0, -1, x'', x'', x'', 0);

  -- Everything else.
  create table entries (
    entry integer primary key,
    directory integer not null,
    name blob not null,
    type integer not null,             -- index into the row types of the format
    row blob not null,                 -- without streams
    xattrs blob not null,
    size integer not null,
    pieces integer not null default 0,
    leader integer,                    -- it is one more name of this entry
    link_group integer,
    link_key blob,
    is_fuzzy integer not null,
    state integer not null default 0,
    placed_name blob,
    inode text,
    device integer,
    code text,
    message text
  ) strict;
  create index entries_by_state on entries (state, entry);
  create index entries_by_group on entries (link_group, link_key) where link_group is not null;
  create index entries_by_leader on entries (leader) where leader is not null;

  -- Pieces of contents, by the record they lie in.
  create table pieces (
    ordinal integer not null,
    entry integer not null,
    position integer not null,         -- in the file
    offset integer not null,           -- in the record's raw bytes
    length integer not null,
    sha256 blob not null,
    is_done integer not null default 0,
    primary key (ordinal, entry, position)
  ) strict, without rowid;
  create index pieces_by_entry on pieces (entry, position);

  -- What is lost besides whole entries: below a directory (empty name), or of one entry.
  create table problems (directory integer not null, name blob not null, code text not null, message text not null) strict;
`;
