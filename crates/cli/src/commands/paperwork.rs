//! `completions` and `man`: what a package ships beside the program, generated from its own arguments.

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};

use crate::args::examples::with_examples;
use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::commands::Context;
use crate::exit::Exit;

pub(crate) fn completions(context: &mut Context, args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mqstore", &mut script);
    context.out(&[])?.write_all(&script)?;
    Ok(Exit::clean())
}

pub(crate) fn man(context: &mut Context, args: &ManArgs) -> anyhow::Result<Exit> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut command = with_examples(Cli::command());
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    for (name, page) in &pages {
        let path = dir.join(name);
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if context.is_text() {
        writeln!(context.out(&[])?, "{} pages in {}", pages.len(), dir.display())?;
    }
    Ok(Exit::clean())
}

/// The page of a command and of those below it: `mqstore-backup-create.1`.
fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).manual("mqstore").render(&mut page)?;
    pages.push((format!("{name}.1"), page));
    for sub in command.get_subcommands() {
        collect(sub, pages)?;
    }
    Ok(())
}
