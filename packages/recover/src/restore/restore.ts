import { lchownSync, linkSync, renameSync, rmSync } from 'node:fs';
import type { Archive } from '../archive/archive.ts';
import { readWholeStream } from '../archive/contents.ts';
import { type Selection, notFound } from '../archive/selection.ts';
import { pathBytes, type Path, type Step, walk } from '../archive/walk.ts';
import { RecoverError, systemCode } from '../errors.ts';
import { readXattrs, type Row, rowTypes, type Stream, streamKinds, type Xattr } from '../format/row.ts';
import type { RecoverCounts } from '../report.ts';
import { Finisher } from './finisher.ts';
import { isTaken, makeSpecial } from './make-special.ts';
import { contentOf, createFile, describeLost, sealFile, writeContent } from './restore-file.ts';
import { closeTarget, DirectoryStack, makeDirectory, openTarget, pathIn, type Target } from './target.ts';

/** What to restore and how. `keepPartial` keeps what could be saved of a damaged file as `<name>.partial`. */
export type RestoreRequest = {
  readonly commit: number;
  readonly selection: Selection;
  readonly setuid: boolean;
  readonly keepPartial: boolean;
  readonly onEntry: (counts: RecoverCounts) => void;
};

const XATTR_LIMIT_BYTES = 4 * 1024 * 1024;
const SETUID_AND_SETGID = 0o6000;
/** Greater user numbers do not exist, or mean: leave it as it is. */
const GREATEST_ID = 0xfffffffe;
const growing = Buffer.from('growing');

type Links = Map<number, { readonly sameness: string; readonly staged: boolean }>;

/** Everything is checked and nothing is written where `outDir` is undefined. @throws target.*, and what reading throws */
export async function restore(
  archive: Archive,
  request: RestoreRequest,
  outDir: string | undefined,
): Promise<RecoverCounts> {
  const target = outDir === undefined ? undefined : openTarget(outDir);
  const run = new Restoring(archive, request, target);
  try {
    await run.all();
    return run.counts;
  } finally {
    if (target !== undefined) closeTarget(target);
  }
}

/** One restore, from the first name to the last. */
class Restoring {
  readonly #archive: Archive;
  readonly #request: RestoreRequest;
  readonly #target: Target | undefined;
  readonly #finisher: Finisher;
  readonly #stack: DirectoryStack | undefined;
  readonly #rows: (Row | undefined)[] = [];
  readonly #links: Links = new Map();
  readonly #partials = new Set<string>();
  readonly #asRoot = process.getuid?.() === 0;
  readonly #counts = { files: 0, directories: 0, symlinks: 0, hardLinks: 0, specials: 0, bytes: 0, lostFiles: 0 };

  constructor(archive: Archive, request: RestoreRequest, target: Target | undefined) {
    this.#archive = archive;
    this.#request = request;
    this.#target = target;
    this.#finisher = new Finisher(archive.findings);
    this.#stack = target === undefined ? undefined : new DirectoryStack(target.root, () => this.#finisher.flush());
  }

  get counts(): RecoverCounts {
    return { ...this.#counts };
  }

  async all(): Promise<void> {
    const steps = walk(this.#archive, this.#request.commit, this.#request.selection);
    let next = steps.next();
    try {
      while (next.done !== true) {
        const skip = await this.#take(next.value);
        this.#request.onEntry(this.#counts);
        next = steps.next(skip);
      }
    } finally {
      await this.#finisher.flush();
    }
    for (const path of notFound(this.#request.selection)) {
      this.#lose({
        code: 'path.not_found',
        message: 'there is nothing of this name at that time',
        path: Buffer.from(path, 'latin1'),
      });
    }
    this.#sayWhatOnlyRootMay();
  }

  /** True where a directory could not be made and its names are to be passed over. */
  async #take(step: Step): Promise<boolean> {
    if (step.kind === 'unreadable') {
      this.#counts.lostFiles += 1;
      this.#lose({
        code: 'row.unreadable',
        message: `its row cannot be read: ${String(step.error.details['what'])}`,
        path: pathBytes(step.path),
      });
      return false;
    }
    try {
      if (step.kind === 'enter') await this.#enter(step.path, step.row);
      else if (step.kind === 'leave') await this.#leave(step.path);
      else await this.#entry(step.path, step.row);
      return false;
    } catch (error) {
      this.#refused(step, error);
      return step.kind === 'enter';
    }
  }

  /** A name the system refuses is one loss; a full disk, or a defect of ours, ends the run. */
  #refused(step: Step, error: unknown): void {
    const system = systemCode(error);
    if (system === 'ENOSPC' || system === 'EDQUOT' || system === 'EROFS') {
      throw new RecoverError('target.full', { system, path: pathBytes(step.path).toString() }, { cause: error });
    }
    if (error instanceof RecoverError || system === '' || system.startsWith('ERR_')) throw error;
    this.#counts.lostFiles += 1;
    this.#lose({ code: 'target.refused', message: `the system refuses it: ${system}`, path: pathBytes(step.path) });
  }

  async #enter(path: Path, row: Row | undefined): Promise<void> {
    if (this.#stack !== undefined) {
      this.#makeRoom(path.name);
      await this.#stack.push(makeDirectory(this.#stack.top, path.name));
    }
    this.#rows.push(row);
    this.#counts.directories += 1;
    if (row === undefined) this.#note('directory.bare', 'a directory has no metadata of its own', path);
  }

  async #leave(path: Path): Promise<void> {
    const row = this.#rows.pop();
    if (this.#stack === undefined) return;
    const directory = this.#stack.pop();
    await this.#finisher.add({
      directory,
      name: Buffer.from('.'),
      path,
      xattrs: row === undefined ? [] : this.#xattrsOf(row, path),
      mode: row === undefined ? 0o755 : this.#modeOf(row),
      modifiedAt: row?.modifiedAt,
      owner: row === undefined ? undefined : this.#ownerOf(row),
      isDirectory: true,
    });
  }

  async #entry(path: Path, row: Row): Promise<void> {
    const sameness = describeSameness(row);
    if (this.#linkAgain(path, row, sameness)) return;
    const made = row.type === rowTypes.file ? await this.#file(path, row) : await this.#special(path, row);
    if (!made) return;
    if (row.linkGroup !== undefined) this.#stageLink(path, { group: row.linkGroup, sameness });
    if (row.fuzzy) this.#note('file.fuzzy', 'it changed each time it was read: its content is a mixture', path);
    if (row.type === rowTypes.file) this.#counts.files += 1;
    else if (row.type === rowTypes.symlink) this.#counts.symlinks += 1;
    else this.#counts.specials += 1;
  }

  async #file(path: Path, row: Row): Promise<boolean> {
    const stream = contentOf(row);
    const target = this.#target;
    const fd = target === undefined ? undefined : createFile(target.staging, growing);
    let mine = fd; // until somebody else closes it
    try {
      const onBytes = () => this.#request.onEntry(this.#counts);
      const written = stream === undefined ? undefined : await writeContent(this.#archive, stream, { fd, onBytes });
      this.#counts.bytes += written?.writtenBytes ?? 0;
      const xattrs = this.#xattrsOf(row, path);
      const mode = this.#modeOf(row);
      if (fd !== undefined) {
        mine = undefined;
        sealFile(fd, { owner: this.#ownerOf(row), mode: xattrs.length > 0 ? undefined : mode });
      }
      if (written?.whole === false) {
        this.#loseContent(path, describeLost(this.#archive, written.lost), {
          lost: written.lostBytes,
          size: stream!.sizeBytes,
        });
        return false;
      }
      this.#place(path, path.name);
      await this.#finish(path, row, { xattrs, mode: xattrs.length > 0 ? mode : undefined });
      return true;
    } finally {
      if (mine !== undefined) sealFile(mine, { owner: undefined, mode: undefined });
      if (target !== undefined) rmSync(pathIn(target.staging, growing), { force: true });
    }
  }

  #loseContent(
    path: Path,
    found: { readonly records: readonly string[]; readonly where: string },
    bytes: { readonly lost: number; readonly size: number },
  ): void {
    this.#counts.lostFiles += 1;
    const kept = this.#request.keepPartial && bytes.lost < bytes.size;
    const kind = kept ? 'what could be saved is in <name>.partial' : 'it is not restored';
    this.#lose({
      code: 'content.lost',
      message: `${bytes.lost} of ${bytes.size} bytes are lost; ${kind}`,
      path: pathBytes(path),
      ...found,
    });
    if (!kept || this.#stack === undefined) return;
    const name = Buffer.concat([path.name, Buffer.from('.partial')]);
    if (isTaken(this.#stack.top, name)) return;
    this.#place(path, name);
    this.#partials.add(pathBytes({ above: path.above, name }).toString('latin1'));
  }

  async #special(path: Path, row: Row): Promise<boolean> {
    if (this.#stack !== undefined && this.#target !== undefined) {
      this.#makeRoom(path.name);
      const failure = await makeSpecial(row, {
        staging: this.#target.staging,
        directory: this.#stack.top,
        name: path.name,
      });
      if (failure !== undefined) {
        this.#counts.lostFiles += 1;
        this.#lose({ code: 'special.not_made', message: `it could not be made: ${failure}`, path: pathBytes(path) });
        return false;
      }
      const owner = this.#ownerOf(row);
      if (owner !== undefined) lchownSync(pathIn(this.#stack.top, path.name), owner.uid, owner.gid);
    }
    const mode = row.type === rowTypes.symlink ? undefined : this.#modeOf(row);
    await this.#finish(path, row, { xattrs: this.#xattrsOf(row, path), mode });
    return true;
  }

  async #finish(
    path: Path,
    row: Row,
    set: { readonly xattrs: readonly Xattr[]; readonly mode: number | undefined },
  ): Promise<void> {
    if (this.#stack === undefined) return;
    const { modifiedAt } = row;
    const directory = this.#stack.top;
    await this.#finisher.add({
      directory,
      name: path.name,
      path,
      ...set,
      modifiedAt,
      owner: undefined,
      isDirectory: false,
    });
  }

  #place(path: Path, name: Buffer): void {
    if (this.#stack === undefined || this.#target === undefined) return;
    if (name.equals(path.name)) this.#makeRoom(name);
    renameSync(pathIn(this.#target.staging, growing), pathIn(this.#stack.top, name));
  }

  /** A name that is taken on an empty target is one the system does not tell apart, or a `.partial` of ours. */
  #makeRoom(name: Buffer): void {
    if (this.#stack === undefined || !isTaken(this.#stack.top, name)) return;
    const path = pathIn(this.#stack.top, name);
    if (!name.toString('latin1').endsWith('.partial') || this.#partials.size === 0)
      throw Object.assign(new Error('taken'), { code: 'EEXIST' });
    renameSync(path, Buffer.concat([path, Buffer.from('.2')]));
  }

  #linkAgain(path: Path, row: Row, sameness: string): boolean {
    const group = row.linkGroup === undefined ? undefined : this.#links.get(row.linkGroup);
    if (group === undefined) return false;
    if (group.sameness !== sameness) {
      this.#note('link.differs', 'its link group has another content elsewhere; it becomes a file of its own', path);
      return false;
    }
    if (this.#stack !== undefined && this.#target !== undefined) {
      if (!group.staged) return false;
      this.#makeRoom(path.name);
      linkSync(pathIn(this.#target.staging, `link-${row.linkGroup}`), pathIn(this.#stack.top, path.name));
    }
    this.#counts.hardLinks += 1;
    return true;
  }

  /** The first name of a group is kept a second time in the private directory, where later names find it. */
  #stageLink(path: Path, link: { readonly group: number; readonly sameness: string }): void {
    if (this.#links.has(link.group)) return;
    let staged = true;
    try {
      if (this.#stack !== undefined && this.#target !== undefined) {
        linkSync(pathIn(this.#stack.top, path.name), pathIn(this.#target.staging, `link-${link.group}`));
      }
    } catch (error) {
      staged = false;
      this.#note(
        'link.not_made',
        `hard links cannot be made here: ${systemCode(error)}; names become files of their own`,
        path,
      );
    }
    this.#links.set(link.group, { sameness: link.sameness, staged });
  }

  #modeOf(row: Row): number | undefined {
    if (row.mode === undefined) return undefined;
    return this.#request.setuid ? row.mode & 0o7777 : row.mode & 0o7777 & ~SETUID_AND_SETGID;
  }

  #ownerOf(row: Row): { readonly uid: number; readonly gid: number } | undefined {
    if (!this.#asRoot || row.uid === undefined || row.gid === undefined) return undefined;
    if (row.uid > GREATEST_ID || row.gid > GREATEST_ID) return undefined;
    return { uid: row.uid, gid: row.gid };
  }

  #xattrsOf(row: Row, path: Path): readonly Xattr[] {
    const stream = row.streams.find((one) => one.kind === streamKinds.xattrs);
    const others = row.unknownStreams + row.streams.filter((one) => one.kind >= streamKinds.fork).length;
    if (others > 0)
      this.#note('stream.not_restored', `${others} further streams are not restored on this system`, path);
    if (stream === undefined) return [];
    const xattrs = this.#readXattrs(stream, path);
    const asked = xattrs.filter(({ name }) => this.#request.setuid || !name.toString('latin1').startsWith('security.'));
    if (asked.length < xattrs.length)
      this.#note('xattrs.on_request', 'security attributes are given on request only', path);
    return asked;
  }

  #readXattrs(stream: Stream, path: Path): readonly Xattr[] {
    try {
      return readXattrs(readWholeStream(this.#archive, stream, XATTR_LIMIT_BYTES));
    } catch (error) {
      if (!(error instanceof RecoverError)) throw error;
      const records = typeof error.details['record'] === 'string' ? [error.details['record']] : [];
      this.#lose({
        code: 'xattrs.lost',
        message: `its extended attributes are lost: ${error.message}`,
        path: pathBytes(path),
        records,
      });
      return [];
    }
  }

  #note(code: string, message: string, path: Path): void {
    this.#archive.findings.add({ severity: 'notice', code, message, path: pathBytes(path) });
  }

  #lose(loss: {
    readonly code: string;
    readonly message: string;
    readonly path: Buffer;
    readonly records?: readonly string[];
    readonly where?: string;
  }): void {
    this.#archive.findings.add({ severity: 'loss', ...loss });
  }

  #sayWhatOnlyRootMay(): void {
    if (this.#asRoot || this.#target === undefined) return;
    this.#archive.findings.add({
      severity: 'notice',
      code: 'owner.not_set',
      message: 'owners were not set: only root may',
    });
  }
}

/** Two names of one link group are the same file when this is the same. */
function describeSameness(row: Row): string {
  const content = contentOf(row);
  const parts = [
    row.type,
    content?.sizeBytes ?? 0,
    content?.contentHash.toString('hex') ?? '',
    row.target?.toString('hex') ?? '',
  ];
  return [...parts, row.device?.major ?? '', row.device?.minor ?? ''].join(' ');
}
