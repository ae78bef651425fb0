/** The tables of the local index. A number that does not match makes the index be built again from the archive. */
export const schemaNumber = 3;

/** SQL that makes an empty index. All of it can be rebuilt from the archive and a rescan; no key is ever in it. */
export const schemaSql = `
  create table meta (key text primary key, value any) strict, without rowid;

  -- The directories that are known. parent and name say where it hangs; the root of all is number 0.
  create table directories (
    number integer primary key,
    parent integer not null,
    name blob not null,
    since integer not null,            -- commit number below which rows inside do not count
    device integer not null,
    inode text not null,               -- decimal: inodes are unsigned 64-bit
    birth text not null,               -- seconds.nanoseconds, '' where unknown: inodes are used again
    own blob not null                  -- digest of the directory's own row
  ) strict;
  create unique index directories_by_place on directories (parent, name);
  create index directories_by_inode on directories (inode);

  -- What was last seen in each directory, in pages by rising name: each ends before the next one's first name.
  create table entries (
    directory integer not null,
    first blob not null,
    packed blob not null               -- packed entries (packed-directory.ts)
  ) strict;
  create unique index entries_by_name on entries (directory, first);

  -- Which directory had a place before it was gone: one that comes back takes its number again.
  create table former (parent integer not null, name blob not null, number integer not null, primary key (parent, name))
    strict, without rowid;

  -- Where bytes with this SHA-256 lie; in several records where one destination could not take them from another.
  create table blocks (
    hash blob not null,
    ordinal integer not null,
    at integer not null,               -- offset in the record's raw bytes
    length integer not null,
    primary key (hash, ordinal)
  ) strict, without rowid;

  -- Which backup sets need a block or bundle: where it has to lie follows from what these sets are bound to.
  create table records (
    ordinal integer primary key,
    list integer not null,
    is_bundle integer not null
  ) strict;
  create table set_lists (
    list integer primary key,
    sets text not null unique          -- numbers, rising, with commas; 0 for what no set selected
  ) strict;

  -- Names that are one file.
  create table links (
    inode text not null,
    device integer not null,
    directory integer not null,
    name blob not null,
    link_group integer not null,
    primary key (inode, device, directory, name)
  ) strict, without rowid;

  -- Commits as they were sealed, kept before they are sent, with what becomes true once they are acknowledged.
  create table commits (
    number integer primary key,
    sha256 blob not null,
    record blob not null,
    intent blob not null,              -- CommitIntent (kept-intent.ts)
    is_acknowledged integer not null
  ) strict;

  -- What those commits put, by key: the next checkpoint folds it into the tree.
  create table puts (key blob primary key, value blob not null) strict, without rowid;

  -- Raw nodes of the newest tree, so that a checkpoint reads nothing back.
  create table nodes (ordinal integer primary key, raw blob not null) strict;
`;
