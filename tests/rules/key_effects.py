"""Which tests see what each config key does: for each side every key of the table (common/config/keys.h),
and for each key at least one test of the running agents, or of what the agents print. Below tests/, a
pytest function or a Catch2 test by its name. That a key arrives in the config, its range, its default
and what a reload says of it is tests/unit/config/keys_test.cc's, for all of them.

effects_test.py fails for a key without a test, for a test that is not there, and for a key that is gone.
"""

BOTH = {
    "shutdown_timeout": ["e2e/test_keys.py::test_a_drain_waits_for_the_shutdown_timeout_in_force"],
    "threads": ["e2e/test_threads.py::test_links_are_on_threads_of_their_own_and_survive"],
    "nft.table": ["e2e/test_keys.py::test_the_rules_have_the_table_the_mark_and_the_routes_that_the_config_names"],
    "nft.mark": ["e2e/test_keys.py::test_the_rules_have_the_table_the_mark_and_the_routes_that_the_config_names",
                 "e2e/test_transparent.py::test_what_is_printed_is_what_is_applied"],
    "nft.route_table": [
        "e2e/test_keys.py::test_the_rules_have_the_table_the_mark_and_the_routes_that_the_config_names"],
    "admin.socket": ["e2e/test_admin.py::test_an_admin_socket_left_by_a_killed_agent_is_replaced",
                     "e2e/test_admin.py::test_a_missing_folder_for_the_admin_socket_is_one_line_that_says_so"],
    "admin.group": ["e2e/test_security.py::test_the_admin_socket_is_for_its_owner_and_its_group"],
    "admin.metrics": ["e2e/test_admin.py::test_http_answers_on_the_metrics_address",
                      "e2e/test_admin.py::test_a_metrics_port_that_is_taken_is_told_and_had_once_it_is_free"],
    "limits.memory": ["e2e/test_keys.py::test_what_is_kept_of_writers_is_bounded_by_the_memory",
                      "e2e/test_limits.py::test_200_applications_that_never_read_disturb_nobody_and_no_memory"],
    "limits.connections": [
        "e2e/test_limits.py::test_a_client_over_its_limit_of_connections_is_told_and_the_others_live",
        "e2e/test_scarcity.py::test_with_several_threads_the_limit_of_connections_is_one"],
    "log.level": ["e2e/test_keys.py::test_the_log_has_the_level_in_force"],
    "log.format": ["e2e/test_admin.py::test_json_logs_are_one_object_a_line",
                   "systemd/test_host.py::test_the_journal_has_every_field_of_an_event"],
    "log.connection_lines": [
        "e2e/test_keys.py::test_few_lines_about_connections_are_logged_as_soon_as_a_reload_says_so"],
    "log.file": ["e2e/test_admin.py::test_sigusr1_opens_rotated_files_anew"],
    "log.trace_file": ["e2e/test_admin.py::test_sigusr1_opens_rotated_files_anew"],
    "link.unsafe_plaintext": ["e2e/test_admin.py::test_plaintext_is_announced_loudly",
                              "e2e/test_security.py::test_a_plaintext_client_gets_nowhere_with_an_encrypted_server"],
    "link.heartbeat": ["e2e/test_keys.py::test_silence_is_questioned_after_the_heartbeat_and_the_servers_wins"],
    "link.dead_after": ["e2e/test_keys.py::test_a_silent_path_is_dead_after_dead_after_and_the_servers_wins"],
    "link.max_window": ["e2e/test_keys.py::test_a_small_max_window_bounds_what_is_under_way_from_the_first_byte_on",
                        "e2e/test_keys.py::test_a_window_grows_to_max_window_and_no_further",
                        "e2e/test_keys.py::test_a_window_that_has_grown_shrinks_when_a_reload_lowers_max_window"],
    "link.congestion_control": ["e2e/test_carriers.py::test_each_end_paces_as_its_config_says"],
    "link.tls.ca_file": [
        "e2e/test_security.py::test_a_certificate_that_is_not_right_is_explained_on_both_sides",
        "e2e/test_reload.py::test_a_connection_outlives_the_rotation_of_both_certificates"],
    "link.tls.cert_file": [
        "e2e/test_security.py::test_a_certificate_that_is_not_right_is_explained_on_both_sides",
        "e2e/test_reload.py::test_a_connection_outlives_the_rotation_of_both_certificates"],
    "link.tls.key_file": ["e2e/test_security.py::test_a_certificates_key_is_held_to_the_same",
                          "e2e/test_reload.py::test_a_connection_outlives_the_rotation_of_both_certificates"],
    "admin.mode": ["e2e/test_listening.py::test_the_admin_sockets_mode_changes_with_a_reload"],
    "admin.user": ["e2e/test_listening.py::test_an_unknown_user_is_told_before_anything_is_done"],
    "admin.freebind": ["e2e/test_admin.py::test_a_metrics_address_that_the_host_lacks_is_waited_for_or_bound_anyway"],
    "link.mptcp": ["e2e/test_multipath.py::test_a_carrier_goes_on_over_the_other_path_when_one_falls_silent",
                   "e2e/test_multipath.py::test_where_one_side_has_none_it_is_plain_tcp"],
    "services.NAME.keepalive": [
        "e2e/test_patience.py::test_an_applications_host_that_vanishes_is_found_and_both_ends_say_so",
        "e2e/test_patience.py::test_a_targets_host_that_vanishes_is_found_and_the_application_is_reset"],
    "services.NAME.idle_timeout": [
        "e2e/test_patience.py::test_a_silent_connection_is_reset_at_both_ends_where_a_key_says_so"],
    "services.NAME.half_close_timeout": [
        "e2e/test_patience.py::test_applications_that_went_away_leave_their_seats_where_a_key_says_so"],
}

CLIENT = {
    "services.NAME.socket_mode": [
        "e2e/test_listening.py::test_a_unix_socket_has_its_mode_owner_and_group_and_a_reload_changes_them"],
    "services.NAME.socket_user": [
        "e2e/test_listening.py::test_a_unix_socket_has_its_mode_owner_and_group_and_a_reload_changes_them"],
    "services.NAME.socket_group": [
        "e2e/test_listening.py::test_a_unix_socket_has_its_mode_owner_and_group_and_a_reload_changes_them"],
    "name": ["e2e/test_what_happens.py::test_a_client_name_that_the_server_does_not_list_is_refused_with_its_cause",
             "e2e/test_opening.py::test_two_clients_with_the_same_services_live_side_by_side_on_one_server"],
    "link.server": ["e2e/test_opening.py::test_a_dead_first_address_of_the_server_costs_little",
                    "e2e/test_reload.py::test_the_link_port_moves_under_a_live_link"],
    "link.psk_file": ["e2e/test_security.py::test_a_wrong_key_and_an_unknown_one_differ_only_in_the_servers_log",
                      "e2e/test_reload.py::test_a_connection_outlives_the_rotation_of_its_key",
                      "e2e/test_security.py::test_a_key_may_be_a_systemd_credential"],
    "link.sni": ["e2e/test_fleet.py::test_no_name_is_said_in_clear_where_that_is_off",
                 "e2e/test_fleet.py::test_a_name_of_the_operators_is_said_before_a_server_has_the_link"],
    "link.balance": ["e2e/test_fleet.py::test_clients_of_a_static_list_spread"],
    "link.handshake_timeout": ["e2e/test_keys.py::test_a_client_gives_a_handshake_as_long_as_it_was_told"],
    "link.open_timeout": [
        "e2e/test_opening.py::test_an_application_that_waited_for_open_timeout_is_reset",
        "e2e/test_keys.py::test_who_waits_for_the_link_is_reset_after_the_open_timeout_in_force"],
    "link.parallel": ["e2e/test_parallel.py::test_connections_are_shared_out_and_survive_the_cut_of_all",
                      "e2e/test_parallel.py::test_a_reload_changes_their_number_beside_live_connections"],
    "link.tls.server_name": [
        "e2e/test_security.py::test_a_certificate_that_is_not_right_is_explained_on_both_sides"],
    "services.NAME.listen": ["e2e/test_reload.py::test_a_listener_moves_and_its_connections_stay",
                             "e2e/test_opening.py::test_unix_sockets_serve_as_listener_and_as_target",
                             "systemd/test_host.py::test_the_changes_that_the_guide_names_work"],
    "services.NAME.link": ["e2e/test_reload.py::test_several_links_of_one_client_carry_apart_and_reload_apart"],
    "services.NAME.mode": ["e2e/test_transparent.py::test_a_match_names_a_configured_service",
                           "e2e/test_transparent.py::test_who_connects_to_the_listener_itself_is_reset"],
    "services.NAME.match": [
        "e2e/test_transparent.py::test_services_may_share_a_listener_and_the_narrowest_match_wins"],
    "services.NAME.travel": ["e2e/test_transparent.py::test_a_destination_that_the_server_does_not_allow_is_reset",
                             "e2e/test_transparent.py::test_nothing_travels_for_a_client_without_an_allow_list"],
    "services.NAME.mirror": ["e2e/test_keys.py::test_a_target_is_asked_every_check_interval_from_a_reload_on",
                             "e2e/test_transparent.py::test_a_refused_backend_looks_refused"],
    "services.NAME.freebind": [
        "e2e/test_keys.py::test_an_address_that_the_host_has_not_is_bound_where_freebind_says_so"],
    "services.NAME.accept_proxy": [
        "e2e/test_proxy_protocol.py::test_a_balancers_header_says_whose_the_connection_is",
        "e2e/test_proxy_protocol.py::test_who_ends_or_says_nothing_is_let_go"],
    "services.NAME.accept_proxy_from": [
        "e2e/test_proxy_protocol.py::test_who_is_no_balancer_is_reset_before_a_word",
        "e2e/test_proxy_protocol.py::test_an_ipv6_balancer_is_known_by_its_network"],
    "nft.exclude": ["e2e/test_admin.py::test_nft_says_whose_traffic_it_leaves_alone_where_there_is_no_user_of_our_own",
                    "e2e/test_transparent_rules.py::test_a_users_own_connections_are_left_alone"],
}

SERVER = {
    "name": ["e2e/test_keys.py::test_clients_know_a_server_by_its_name_or_by_one_of_its_own"],
    "link.listen": ["e2e/test_reload.py::test_the_link_port_moves_under_a_live_link",
                    "e2e/test_opening.py::test_the_link_itself_runs_over_ipv6"],
    "link.freebind": ["e2e/test_keys.py::test_an_address_that_the_host_has_not_is_bound_where_freebind_says_so"],
    "link.grace": ["e2e/test_processes.py::test_when_the_grace_is_over_both_applications_are_reset",
                   "e2e/test_processes.py::test_an_outage_just_below_the_grace_is_survived"],
    "link.home": ["e2e/test_fleet.py::test_a_link_comes_home"],
    "link.home_address": ["e2e/test_fleet.py::test_the_homes_own_address_is_found_without_names"],
    "link.accept_proxy": ["e2e/test_fleet.py::test_the_client_has_its_own_address_behind_a_balancer"],
    "link.accept_proxy_from": ["e2e/test_fleet.py::test_who_comes_past_the_balancer_is_not_let_in"],
    "link.handshake_timeout": ["e2e/test_strangers.py::test_garbage_is_dropped_within_the_handshake_timeout",
                               "e2e/test_security.py::test_a_dripping_tls_hello_ends_with_the_handshake_timeout"],
    "clients.NAME.psk_file": [
        "e2e/test_reload.py::test_a_key_that_is_revoked_must_be_proved_anew",
        "e2e/test_security.py::test_a_wrong_key_and_an_unknown_one_differ_only_in_the_servers_log"],
    "clients.NAME.expires": ["e2e/test_pairing.py::test_access_ends_when_the_invite_says_so_joined_or_not"],
    "clients.NAME.services": ["e2e/test_opening.py::test_a_service_that_the_server_does_not_grant_resets_the_application",
                              "e2e/test_reload.py::test_a_service_that_is_revoked_from_a_client_ends_and_others_go_on"],
    "clients.NAME.allow": ["e2e/test_transparent.py::test_a_destination_that_the_server_does_not_allow_is_reset",
                           "e2e/test_transparent_rules.py::"
                           "test_a_connection_to_where_a_client_may_not_go_any_more_ends_when_it_is_revoked"],
    "clients.NAME.source": ["e2e/test_transparent.py::test_the_service_is_reached_from_the_applications_own_address"],
    "clients.NAME.sources": ["e2e/test_proxy_protocol.py::test_a_source_that_the_client_may_not_name_is_refused",
                             "e2e/test_transparent.py::test_a_source_that_is_not_granted_is_never_taken"],
    "clients.NAME.links": ["e2e/test_keys.py::test_a_client_has_the_links_that_it_may_as_soon_as_a_reload_says_so",
                           "e2e/test_parallel.py::test_the_lanes_of_a_link_are_one_of_those_the_client_may_have"],
    "clients.NAME.connections": [
        "e2e/test_scarcity.py::test_a_lower_limit_after_a_reload_keeps_what_lives_and_refuses_the_rest",
        "e2e/test_security_attacks.py::test_thousands_of_opens_get_what_the_client_may_have_and_no_more"],
    "clients.NAME.memory": [
        "e2e/test_keys.py::test_a_clients_memory_bounds_its_link_and_counts_as_soon_as_a_reload_says_so"],
    "services.NAME.target": ["e2e/test_reload.py::test_a_new_target_is_for_new_connections",
                             "e2e/test_opening.py::test_unix_sockets_serve_as_listener_and_as_target"],
    "services.NAME.grace": ["e2e/test_processes.py::test_a_services_own_grace_ends_its_connections_alone"],
    "services.NAME.connect_timeout": [
        "e2e/test_opening.py::test_a_backend_that_does_not_answer_resets_the_application_after_connect_timeout"],
    "services.NAME.send_proxy": [
        "e2e/test_proxy_protocol.py::test_a_service_is_told_whose_connection_it_is_before_its_first_byte"],
    "services.NAME.mirror": ["e2e/test_transparent.py::test_without_mirror_at_the_server_the_listener_is_open",
                             "e2e/test_keys.py::test_a_target_is_asked_every_check_interval_from_a_reload_on"],
    "services.NAME.check": ["e2e/test_service_health.py::test_a_checked_target_is_known_before_the_first_application"],
    "services.NAME.check_interval": [
        "e2e/test_keys.py::test_a_target_is_asked_every_check_interval_from_a_reload_on"],
    "services.NAME.source": [
        "e2e/test_transparent.py::test_redirected_to_a_named_service_that_sees_the_application"],
}

EFFECTS = {"client": {**BOTH, **CLIENT}, "server": {**BOTH, **SERVER}}
