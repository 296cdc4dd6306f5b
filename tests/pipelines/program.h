// SPDX-License-Identifier: Apache-2.0
// Runs a program and keeps what it says.
#pragma once

#include <gst/gst.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "pipelines/refine/owned.h"

namespace rgbd::testing {

struct Outcome {
  int exit_code = -1;  // -1: ended by a signal
  std::string out, err;
};

inline int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline std::vector<char*> argv_of(std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

/// `environment`: NAME=value to set, NAME= to unset, beside the test's own.
inline Outcome run_program(std::vector<std::string> command, const std::vector<std::string>& environment = {},
                           const std::string& folder = ".") {
  gchar** env = g_get_environ();
  for (const std::string& setting : environment) {
    const size_t equals = setting.find('=');
    const std::string name = setting.substr(0, equals), value = setting.substr(equals + 1);
    env = value.empty() ? g_environ_unsetenv(env, name.c_str())
                        : g_environ_setenv(env, name.c_str(), value.c_str(), TRUE);
  }
  gchar *out = nullptr, *err = nullptr;
  gint status = 0;
  GError* raw_error = nullptr;
  const gboolean started = g_spawn_sync(folder.c_str(), argv_of(command).data(), env, G_SPAWN_SEARCH_PATH,
                                        nullptr, nullptr, &out, &err, &status, &raw_error);
  g_strfreev(env);
  if (!started) throw std::runtime_error(raw_error->message);
  const Owned<gchar> out_owned(out), err_owned(err);
  return {exit_code_of(status), out, err};
}

/// With a terminal for standard output and standard error; both come as `out`.
inline Outcome run_on_terminal(std::vector<std::string> command, const std::string& folder) {
  const std::vector<char*> argv = argv_of(command);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child < 0) throw std::runtime_error("forkpty failed");
  if (child == 0) {
    if (chdir(folder.c_str()) == 0) execv(argv[0], argv.data());
    _exit(127);
  }
  Outcome outcome;
  char bytes[4096];
  // Ends with an error once the program has closed its side.
  for (ssize_t size; (size = read(terminal, bytes, sizeof bytes)) > 0;)
    outcome.out.append(bytes, static_cast<size_t>(size));
  close(terminal);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.exit_code = exit_code_of(status);
  return outcome;
}

}  // namespace rgbd::testing
