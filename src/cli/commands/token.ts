/** `quorate token`: access tokens, from the key that makes them to the list that ends them. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { addTokenOptions, type TokenOptions } from '../token-options.ts';
import { attenuate, inspect } from './token-hold.ts';
import { type KeygenOptions, keygen, type MintOptions, mint } from './token-make.ts';
import { type RevokeOptions, revoke } from './token-revoke.ts';

export function defineToken(command: Command, context: Context): void {
  const act = (name: string, summary: string) =>
    command.command(name).summary(summary).description(summary);
  act('keygen', 'make the key that tokens are minted with')
    .requiredOption('-o, --output <file>', 'the private key, PKCS8 PEM; must not exist yet')
    .option('--passphrase-file <file>', 'encrypt the key; default: ask at a terminal')
    .option('--plain', 'do not encrypt, and do not ask')
    .action((options: KeygenOptions) => keygen(context, options));
  addTokenOptions(act('mint', 'make a token for --registry'))
    .requiredOption('--key <file>', 'the private key, as `token keygen` wrote it')
    .option('--passphrase-file <file>', 'for an encrypted key; default: ask at a terminal')
    .action((options: MintOptions) => mint(context, options));
  addTokenOptions(act('attenuate', 'narrow a token; needs no key and no network')).action(
    (options: TokenOptions) => attenuate(context, options),
  );
  act('inspect', 'show what a token allows, until when, and the ids that revoke it')
    .option('--key <key>', 'check that this key signed it: ed25519/..., or a file that holds it')
    .action((options: { key?: string }) => inspect(context, options));
  act('revoke', 'add a token to the list of a registry, token_revocations')
    .argument('<file>', 'the list; made when it is missing')
    .option('--id <id...>', 'revocation ids, as `token inspect` shows them; instead of a token')
    .action((file: string, options: RevokeOptions) => revoke(context, file, options));
}
