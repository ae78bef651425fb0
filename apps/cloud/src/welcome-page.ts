import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; color: #1c2430; background: #fff }
  h1 { font-size: 1.6rem; margin: 0 0 .5rem }
  code { background: #eef1f5; padding: .1rem .3rem; border-radius: .2rem }
  @media (prefers-color-scheme: dark) { body { color: #dfe5ee; background: #141920 } code { background: #242c37 } }
`;

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Holdfast is running</h1>
<p>The console is coming to this address. Until then everything is done with the <code>holdfast</code> command;
<code>holdfast --help</code> lists what there is.</p>
</main>
</body>
</html>
`;

/** The one style sheet of the page is allowed by its hash, nothing else by anything. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
].join('; ');

/** Answers `/` with a page that says the console is coming. */
export function mountWelcomePage(app: FastifyInstance): void {
  const config = { open: 'A page without content, for whoever opens the address in a browser' };
  app.get('/', { config }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', POLICY).send(PAGE),
  );
}
