/**
 * The seam of a reload: every part that takes settings up while it runs. All prepare first, and only when
 * each of them could does any of them change; so a configuration is taken up whole or not at all.
 */
import type { Config } from './config.ts';

export interface Reloadable {
  /**
   * Opens and checks what `next` names, changing nothing yet; throws `invalid_request`. What it returns
   * takes it up and does not throw. Another part may have thrown: then it is dropped uncalled, so it holds
   * nothing that has to be closed.
   */
  prepare(next: Config): Promise<() => void>;
}
