import { storageRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mountIo, mountStream, type HttpDeps } from '../../platform/mount.ts';
import { addKeyring, createArchive, listOwnArchives } from './archives.ts';
import { listOrdinals, listRecords, readRecords, type ReadAdapters } from './read-archive.ts';
import { appendFragment, openWriteSession, type WriteAdapters } from './write-archive.ts';

/** Mounts the routes of archives. */
export function mountStorage(
  app: FastifyInstance,
  deps: HttpDeps & { readonly adapters: WriteAdapters & ReadAdapters },
): void {
  mountIo(app, deps, storageRoutes.list, (ctx) => listOwnArchives(ctx));
  mountIo(app, deps, storageRoutes.create, (ctx, { body }) => createArchive(ctx, body));
  mountIo(app, deps, storageRoutes.addKeyring, (ctx, { params, body }) =>
    addKeyring(ctx, params.archiveId, body.keyring),
  );
  mountIo(app, deps, storageRoutes.openSession, (ctx, { params, body }) =>
    openWriteSession(ctx, params.archiveId, body.known),
  );
  mountStream(app, deps, storageRoutes.append, (ctx, { params, query, stream, headers }) =>
    appendFragment(ctx, params.archiveId, { ...query, stream, contentLength: headers['content-length'] }),
  );
  mountStream(app, deps, storageRoutes.read, (ctx, { params, stream, headers }) =>
    readRecords(ctx, params.archiveId, { stream, contentLength: headers['content-length'] }),
  );
  mountStream(app, deps, storageRoutes.ordinals, (ctx, { params, query }) =>
    listOrdinals(ctx, params.archiveId, query.kind),
  );
  mountStream(app, deps, storageRoutes.records, (ctx, { params, query }) => listRecords(ctx, params.archiveId, query));
}
