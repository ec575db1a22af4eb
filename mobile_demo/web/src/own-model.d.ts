declare module "virtual:own-model" {
  import type { ModelCard } from "./rules/model-card.ts";

  /** Model that the page was built with, `make phone MODEL=FILE`; null without one. */
  const own: { readonly name: string; readonly card: ModelCard; readonly url: string } | null;
  export default own;
}
